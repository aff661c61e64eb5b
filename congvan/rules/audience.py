"""Who a plan would reach, and why; who it would not, and why not. Pure; what `route` decides, in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from congvan.rules.cascade import Directory, Way, bears, in_force, resolved, route, selected, spread, valid
from congvan.rules.records import Audience, CampaignPlan, Cascade, Organisation, Register


@dataclass(frozen=True, slots=True)
class Look:
    """One organisation of the registry as a plan sees it.

    role: "recipient" (named by the audience), "carrier" (asked only because somebody below it is), "exempt" (the
    drafting unit), "root" (the letter comes from it) or "" (not reached). via: who would write to it, the first
    way first. why: in words for the operator. mailbox: whether it has one that is valid.
    """

    organisation: Organisation
    role: str
    via: tuple[str, ...]
    settles: str
    why: str
    mailbox: bool

    @property
    def reached(self) -> bool:
        """True where it would get the letter."""
        return self.role in ("recipient", "carrier")


@dataclass(slots=True)
class _Scene:
    plan: CampaignPlan
    cascade: Cascade
    directory: Directory
    audience: Audience
    day: date | None
    every: dict[str, list[tuple[str, Way]]] = field(default_factory=dict)
    kept: dict[str, list[str]] = field(default_factory=dict)
    below: dict[str, int] = field(default_factory=dict)


def preview(register: Register, cascade: Cascade, plan: CampaignPlan, day: date | None = None) -> list[Look]:
    """Every organisation of the registry by level and code: who is reached and why, who is not and why.

    day: of the launch; organisations and mailboxes outside their dates then do not count.
    """
    directory = Directory(register if day is None else in_force(register, day))
    frozen = route(register, cascade, plan, day)
    scene = _Scene(plan, cascade, directory, resolved(plan.audience, register), day)
    for hop in spread(directory, cascade):
        for way in hop.ways:
            scene.every.setdefault(way.recipient, []).append((hop.issuer, way))
    for kept in frozen.hops:
        scene.below[kept.issuer] = len({way.recipient for way in kept.ways})
        for way in kept.ways:
            scene.kept.setdefault(way.recipient, []).append(kept.issuer)
    order = {level: number for number, level in enumerate(cascade.levels)}
    looks = [_look(scene, one, frozen.settles.get(one.code)) for one in register.organisations]
    return sorted(looks, key=lambda look: (order.get(look.organisation.level, 99), look.organisation.code))


def _look(scene: _Scene, one: Organisation, settles: object) -> Look:
    role, why = _role(scene, one)
    via = tuple(dict.fromkeys(scene.kept.get(one.code, ())))
    asked = getattr(settles, "value", "") if role in ("recipient", "carrier") else ""
    mailbox = any(scene.day is None or valid(contact, scene.day) for contact in one.contacts)
    return Look(one, role, via, str(asked), why, mailbox)


def _role(scene: _Scene, one: Organisation) -> tuple[str, str]:
    parks = scene.directory.parks_of(one)
    wanted = selected(scene.audience, one, parks)
    if one.code not in scene.directory.organisations:
        return "", "không còn hoặc chưa có hiệu lực trong danh bạ"
    if one.level == scene.cascade.root and one.code not in scene.every:
        return "root", "cơ quan ban hành văn bản gốc"
    if one.code not in scene.every:
        return "", "không có chặng nào trong chuỗi dẫn đến"
    if one.code not in scene.kept:
        return "", "; ".join(_against(scene.audience, one, parks)) or "không có đường nào qua khu được chọn"
    if one.code == scene.cascade.drafting_unit:
        return "exempt", "đơn vị soạn thảo: không phải trả lời văn bản của chính mình"
    if wanted:
        return "recipient", "; ".join(_for(scene, one, parks))
    number = scene.below.get(one.code, 0)
    excluded = " (dù có tên trong exclude)" if one.code in scene.audience.exclude else ""
    return "carrier", f"không thuộc đối tượng{excluded}, nhưng là đường chuyển đến {number} đơn vị được chọn"


def _for(scene: _Scene, one: Organisation, parks: set[str]) -> Iterable[str]:
    audience = scene.audience
    if one.code in audience.include:
        yield "được nêu đích danh (include)"
        return
    if audience.levels:
        yield f"cấp {one.level}"
    if audience.parks:
        yield f"khu {', '.join(sorted(parks & set(audience.parks)))}"
    if audience.segments:
        yield f"nhóm ngành {', '.join(sorted(wanted for wanted in audience.segments if bears(one.segments, wanted)))}"
    if not (audience.levels or audience.parks or audience.segments):
        yield "không đặt điều kiện: mọi tổ chức trên chuỗi"


def _against(audience: Audience, one: Organisation, parks: set[str]) -> Iterable[str]:
    if one.code in audience.exclude:
        yield "bị loại trừ (exclude)"
        return
    if audience.include and not (audience.levels or audience.parks or audience.segments):
        yield "chỉ gửi các đơn vị nêu đích danh (include)"
        return
    if audience.levels and one.level not in audience.levels:
        yield f"cấp {one.level} không được chọn"
    if audience.parks and not parks & set(audience.parks):
        yield "không ở khu công nghiệp, khu vực được chọn"
    if audience.segments and not any(bears(one.segments, wanted) for wanted in audience.segments):
        yield "không thuộc nhóm ngành được chọn"
