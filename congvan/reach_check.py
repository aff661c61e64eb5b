"""Whom a plan names or selects and no letter reaches: told before the launch, for later nobody misses them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from congvan.check_ground import Ground
from congvan.errors import Fault
from congvan.rules.cascade import Directory, in_force, resolved, route, selected
from congvan.rules.records import CampaignPlan, Cascade, Register


def of_plan(ground: Ground, plan: CampaignPlan, cascade: Cascade, register: Register) -> Iterator[Fault]:
    """Faults of a route that reaches nobody, or leaves out whom `include` names or the audience selects in a park."""
    frozen = route(register, cascade, plan, ground.today)
    if not frozen.hops:
        yield ground.fault(
            "audience", "không chọn được tổ chức nào", "nới điều kiện: cấp, khu, nhóm ngành, danh sách loại trừ"
        )
    reached = {*frozen.recipients(), *(hop.issuer for hop in frozen.hops)}
    present = in_force(register, ground.today)
    yield from _named(ground, plan, present, reached)
    yield from _parks(ground, plan, cascade, present, reached)


def _named(ground: Ground, plan: CampaignPlan, present: Register, reached: Collection[str]) -> Iterator[Fault]:
    known = {one.code for one in present.organisations}
    for code in plan.audience.include:
        if code in reached:
            continue
        why = "không có chặng nào trong chuỗi dẫn đến"
        if code in plan.audience.exclude:
            why = "mã này cũng có trong exclude"
        elif code not in known:
            why = f"không có hiệu lực vào ngày {ground.today:%d/%m/%Y}"
        yield ground.fault(
            "audience.include",
            f"văn bản không đến được «{code}»: {why}",
            "bỏ mã này khỏi include, hoặc sửa hiệu lực, cấp, khu và chủ đầu tư của khu trong danh bạ",
        )


def _parks(
    ground: Ground, plan: CampaignPlan, cascade: Cascade, present: Register, reached: Collection[str]
) -> Iterator[Fault]:
    """Parks that nobody runs today: a letter comes into a park through its investor only."""
    known = {one.code for one in present.organisations}
    forsaken = [park for park in present.parks if park.investor not in known]
    lost = _lost(plan, cascade, present, reached) if forsaken else Counter()
    for park in forsaken:
        if not lost[park.code]:
            continue
        nobody = "chưa có chủ đầu tư"
        if park.investor:
            nobody = f"có chủ đầu tư «{park.investor}» không có hiệu lực vào ngày {ground.today:%d/%m/%Y}"
        yield ground.fault(
            "audience",
            f"khu «{park.code}» {nobody}: {lost[park.code]} đơn vị được chọn trong khu không nhận được văn bản",
            "sửa chủ đầu tư ở bảng «Khu công nghiệp» của danh bạ, hoặc ghi các đơn vị này vào exclude",
        )


def _lost(plan: CampaignPlan, cascade: Cascade, present: Register, reached: Collection[str]) -> Counter[str]:
    """By park, how many are selected, though not by name, and no letter reaches them."""
    audience, directory = resolved(plan.audience, present), Directory(present)
    levels = {who.level for hop in cascade.hops for who in hop.recipients if who.who == "parks"}
    named = {*reached, *audience.include}
    return Counter(
        code
        for one in present.organisations
        if one.level in levels and one.code not in named and selected(audience, one, directory.parks_of(one))
        for code in one.parks
        if not audience.parks or code in audience.parks
    )
