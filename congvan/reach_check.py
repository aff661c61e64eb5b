"""Whom a plan names or selects and no letter reaches: told before the launch, for later nobody misses them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from congvan.check_ground import Ground
from congvan.errors import Fault
from congvan.rules.cascade import Directory, in_force, resolved, route, selected
from congvan.rules.records import Audience, CampaignPlan, Cascade, Organisation, Register

#: So many of those who are left out are named; the others are counted.
_NAMED = 5


def of_plan(ground: Ground, plan: CampaignPlan, cascade: Cascade, register: Register) -> Iterator[Fault]:
    """Faults of a route that reaches nobody, or leaves out whom `include` names or the audience selects."""
    frozen = route(register, cascade, plan, ground.today)
    reached = {*frozen.recipients(), *(hop.issuer for hop in frozen.hops)}
    present = in_force(register, ground.today)
    look = _Look(ground, cascade, resolved(plan.audience, present), Directory(present), reached)
    left_out = [*_named(ground, plan, present, reached), *_selected(look)]
    yield from left_out
    if not frozen.hops and not left_out:
        yield ground.fault(
            "audience", "không chọn được tổ chức nào", "nới điều kiện: cấp, khu, nhóm ngành, danh sách loại trừ"
        )


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


@dataclass(frozen=True, slots=True)
class _Look:
    """What decides why somebody is left out. directory: of the organisations in force."""

    ground: Ground
    cascade: Cascade
    audience: Audience
    directory: Directory
    reached: Collection[str]

    def lines_to(self, level: str) -> list[tuple[str, str]]:
        """(issuer's level, who) of every line of the cascade that leads to a level."""
        return [
            (hop.issuer, who.who) for hop in self.cascade.hops for who in hop.recipients if who.level == level
        ]

    def against(self, code: str, level: str, who: str) -> str:
        """Why no letter comes to this level from one who is to write it."""
        above = self.directory.organisations.get(code)
        if above is None:
            return f"không có hiệu lực vào ngày {self.ground.today:%d/%m/%Y}"
        if (above.level, who) not in self.lines_to(level):
            return f"thuộc cấp «{above.level}», không chuyển văn bản đến cấp «{level}»"
        return "không nhận được văn bản"


def _selected(look: _Look) -> Iterator[Fault]:
    """Those who are selected, though not by name, and no letter reaches them: one fault for each cause."""
    lost: dict[tuple[str, str], list[str]] = {}
    for level, people in look.directory.by_level.items():
        if level == look.cascade.root or not (look.lines_to(level) or level in look.audience.levels):
            continue
        for one in people:
            named = one.code in look.reached or one.code in look.audience.include
            if not named and selected(look.audience, one, look.directory.parks_of(one)):
                for cause in _causes(look, one):
                    lost.setdefault(cause, []).append(one.code)
    for (why, remedy), codes in lost.items():
        shown = ", ".join(codes[:_NAMED]) + ("…" if len(codes) > _NAMED else "")
        yield look.ground.fault(
            "audience",
            f"{why}: {len(codes)} đơn vị được chọn không nhận được văn bản ({shown})",
            f"{remedy}, hoặc ghi các đơn vị này vào exclude",
        )


def _causes(look: _Look, one: Organisation) -> Iterator[tuple[str, str]]:
    """(why, remedy) for one whom no letter reaches: of each of its parks, or of whoever is above it."""
    lines = look.lines_to(one.level)
    kinds = {who for _, who in lines}
    if not lines:
        yield f"chuỗi không chuyển văn bản đến cấp «{one.level}»", "bỏ cấp này khỏi audience.levels"
    elif "parks" in kinds and one.parks:
        for code in one.parks:
            if not look.audience.parks or code in look.audience.parks:
                yield f"khu «{code}» {_nobody(look, code, one.level)}", "sửa chủ đầu tư ở bảng «Khu công nghiệp»"
    elif "children" in kinds:
        why = "chưa ghi cấp trên trực tiếp"
        if one.parent:
            why = f"cấp trên trực tiếp «{one.parent}» {look.against(one.parent, one.level, 'children')}"
        yield why, "sửa cột «Cấp trên trực tiếp» ở bảng «Tổ chức»"
    elif kinds == {"parks"}:
        yield "không thuộc khu công nghiệp nào", "ghi khu ở bảng «Tổ chức»"
    elif kinds == {"outside_parks"} and one.parks:
        yield "ở trong khu công nghiệp, mà chuỗi chỉ chuyển văn bản đến nơi ngoài khu", "sửa khu ở bảng «Tổ chức»"
    else:
        levels = ", ".join(dict.fromkeys(f"«{issuer}»" for issuer, _ in lines))
        yield f"không có tổ chức nào ở cấp {levels} chuyển văn bản đến", "sửa cấp và cấp trên ở bảng «Tổ chức»"


def _nobody(look: _Look, park: str, level: str) -> str:
    investor = look.directory.parks[park].investor if park in look.directory.parks else None
    if not investor:
        return "chưa có chủ đầu tư"
    return f"có chủ đầu tư «{investor}» {look.against(investor, level, 'parks')}"
