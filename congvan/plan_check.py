"""What a plan and a cascade say that cannot be carried out with this registry, now. Pure but for the files.

`congvan.reading` finds what is wrongly written; here is found what is written well and cannot work.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from congvan.errors import Fault
from congvan.registry.faults import meant
from congvan.rules.calendar import instant, local
from congvan.rules.cascade import policy_for, route
from congvan.rules.records import CampaignPlan, Cascade, Directive, Organisation, Policy, Register, Settles

_SECRET = re.compile(r"\b(TUYỆT|TỐI)\s+MẬT\b|^\W*MẬT\W*$|\b(?:độ|ĐỘ|Độ)\s+(?:mật|MẬT)\s*:\s*\S", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Ground:
    """What both checks look things up in. today: in Vietnam."""

    file: str
    organisations: Mapping[str, Organisation]
    now: datetime
    lines: Mapping[str, int]

    @property
    def today(self) -> date:
        return local(self.now).date()

    def fault(self, field: str, message: str, remedy: str) -> Fault:
        place = field
        while place and place not in self.lines:
            place = re.sub(r"(\.[^.\[]*|\[\d+\]|^[^.\[]*)$", "", place)
        return Fault(self.file, field, message, remedy, self.lines.get(place))

    def unknown(self, field: str, codes: Collection[str], known: Collection[str], what: str) -> Iterator[Fault]:
        for code in codes:
            if code not in known:
                yield self.fault(
                    field, f"không có {what} «{code}»", f"sửa mã{meant(code, known)} hoặc thêm vào danh bạ"
                )

    def reached(self, field: str, code: str) -> Iterator[Fault]:
        """Faults where an organisation does not exist or no mail reaches it today."""
        yield from self.unknown(field, [code], self.organisations, "tổ chức")
        one = self.organisations.get(code)
        if one and not any(_valid(two.valid_from, two.valid_until, self.today) for two in one.contacts):
            yield self.fault(
                field, f"«{code}» không có hộp thư còn hiệu lực", "thêm hộp thư ở bảng «Đầu mối» của danh bạ"
            )


def check(
    plan: CampaignPlan,
    cascade: Cascade,
    register: Register,
    now: datetime,
    files_root: Path,
    *,
    exercise: bool = False,
    file: str = "",
    lines: Mapping[str, int] | None = None,
    cascade_file: str = "",
) -> list[Fault]:
    """Everything that keeps this plan from being launched now; an empty list means it can be.

    files_root: the folder that the directives' files are relative to. exercise: missing files are
    forgiven (demo and exercise enclose a placeholder). file, cascade_file: how faults name the two
    files. lines: the lines of the plan, as `reading.lines_of` gives them.
    """
    ground = _Ground(file or plan.code, {one.code: one for one in register.organisations}, now, lines or {})
    faults = check_cascade(cascade, register, now, file=cascade_file)
    faults += _audience(ground, plan, cascade, register)
    faults += _policies(ground, {f"policies.{level}": policy for level, policy in plan.policies.items()})
    faults += _questions(ground, plan, cascade)
    faults += _directives(ground, plan.directives, files_root, exercise)
    faults += _letter(ground, plan)
    if not faults and not route(register, cascade, plan, ground.today).hops:
        faults.append(
            ground.fault(
                "audience",
                "không chọn được tổ chức nào",
                "nới điều kiện: cấp, khu, nhóm ngành, danh sách loại trừ",
            )
        )
    return faults


def check_cascade(
    cascade: Cascade,
    register: Register,
    now: datetime,
    *,
    file: str = "",
    lines: Mapping[str, int] | None = None,
) -> list[Fault]:
    """Everything that keeps this cascade from working with this registry."""
    ground = _Ground(file or cascade.name, {one.code: one for one in register.organisations}, now, lines or {})
    faults = list(_hops(ground, cascade))
    if cascade.root in cascade.levels and not any(one.level == cascade.root for one in register.organisations):
        faults.append(
            ground.fault("root", f"danh bạ không có tổ chức nào ở cấp «{cascade.root}»", "thêm tổ chức cấp đầu")
        )
    for name in ("speaks_for", "reports_to", "drafting_unit"):
        if code := getattr(cascade, name):
            faults += ground.reached(name, code)
    for number, rung in enumerate(cascade.ladder, 1):
        faults += ground.reached(f"ladder[{number}].to", rung.to)
    for number, hop in enumerate(cascade.hops, 1):
        for code in hop.issue_by:
            faults += ground.reached(f"hops[{number}].issue_by", code)
        policies = {f"hops[{number}].recipients[{n}].policy": who.policy for n, who in enumerate(hop.recipients, 1)}
        faults += _policies(ground, policies)
    return faults


def _hops(ground: _Ground, cascade: Cascade) -> Iterator[Fault]:
    yield from ground.unknown("root", [cascade.root], cascade.levels, "cấp")
    below: dict[str, list[str]] = {}
    for number, hop in enumerate(cascade.hops, 1):
        levels = [who.level for who in hop.recipients]
        yield from ground.unknown(f"hops[{number}].issuer", [hop.issuer], cascade.levels, "cấp")
        yield from ground.unknown(f"hops[{number}].recipients", levels, cascade.levels, "cấp")
        if hop.issuer in below:
            yield ground.fault(
                f"hops[{number}].issuer",
                f"cấp «{hop.issuer}» đã có bước chuyển ở trên",
                "gộp hai bước làm một",
            )
        below.setdefault(hop.issuer, levels)
    if loop := _loop(cascade.root, below, ()):
        yield ground.fault(
            "hops", f"các cấp đi vòng: {' → '.join(loop)}", "bỏ cấp trên khỏi danh sách nhận của cấp dưới"
        )
        return
    reached = _reached(cascade.root, below)
    for number, hop in enumerate(cascade.hops, 1):
        if hop.issuer in cascade.levels and hop.issuer not in reached:
            yield ground.fault(
                f"hops[{number}].issuer",
                f"văn bản không bao giờ đến cấp «{hop.issuer}»",
                "thêm cấp này vào nơi nhận của một cấp trên",
            )


def _loop(level: str, below: Mapping[str, Sequence[str]], path: tuple[str, ...]) -> tuple[str, ...]:
    """The way back to a level that is already on the path; two different ways to a level are no loop."""
    if level in path:
        return (*path[path.index(level) :], level)
    for one in below.get(level, ()):
        if found := _loop(one, below, (*path, level)):
            return found
    return ()


def _reached(root: str, below: Mapping[str, Sequence[str]]) -> set[str]:
    reached, waiting = set(), [root]
    while waiting:
        level = waiting.pop()
        if level not in reached:
            reached.add(level)
            waiting.extend(below.get(level, ()))
    return reached


def _audience(ground: _Ground, plan: CampaignPlan, cascade: Cascade, register: Register) -> Iterator[Fault]:
    audience = plan.audience
    segments = {segment for one in register.organisations for segment in one.segments}
    yield from ground.unknown("audience.levels", audience.levels, cascade.levels, "cấp")
    yield from ground.unknown(
        "audience.parks", audience.parks, {park.code for park in register.parks}, "khu công nghiệp"
    )
    yield from ground.unknown(
        "audience.zones", audience.zones, {park.zone for park in register.parks if park.zone}, "vùng"
    )
    yield from ground.unknown("audience.segments", audience.segments, segments, "nhóm ngành")
    for field, codes in (("audience.include", audience.include), ("audience.exclude", audience.exclude)):
        yield from ground.unknown(field, codes, ground.organisations, "tổ chức")
    yield from ground.unknown("policies", plan.policies, cascade.levels, "cấp")
    for number, duty in enumerate(plan.segment_duties, 1):
        yield from ground.unknown(f"segment_duties[{number}].segment", [duty.segment], segments, "nhóm ngành")
    for number, copy in enumerate(plan.copies, 1):
        yield from ground.reached(f"copies[{number}].organisation", copy.organisation)


def _questions(ground: _Ground, plan: CampaignPlan, cascade: Cascade) -> Iterator[Fault]:
    """Fields are asked of those only who owe a report, each under a name of its own."""
    yield from ground.unknown("questions", plan.questions, cascade.levels, "cấp")
    for level, questions in plan.questions.items():
        issuers = [hop.issuer for hop in cascade.hops if any(who.level == level for who in hop.recipients)]
        asked = {policy_for(cascade, plan, issuer, level).settles for issuer in issuers}
        if level in cascade.levels and asked != {Settles.COMPLETE}:
            yield ground.fault(
                f"questions.{level}",
                f"cấp «{level}» không được yêu cầu báo cáo, nên không ai điền các mục này",
                f"đặt policies.{level}.settles: complete, hoặc bỏ các mục",
            )
        seen: set[str] = set()
        for number, one in enumerate(questions, 1):
            if one.key in seen:
                yield ground.fault(
                    f"questions.{level}[{number}].key", f"mã «{one.key}» đã dùng cho mục khác", "đặt mã khác"
                )
            seen.add(one.key)


def _policies(ground: _Ground, policies: Mapping[str, Policy]) -> Iterator[Fault]:
    for place, policy in policies.items():
        term = policy.deadline
        if not term.hours and not term.working_days and instant(ground.today, term.at) <= ground.now:
            yield ground.fault(
                f"{place}.deadline",
                f"thời hạn {term.at:%H:%M} hôm nay đã qua",
                "đặt giờ muộn hơn, hoặc thêm ngày làm việc hoặc số giờ",
            )
        # The default reminders fit the default term; on another they are passed over without harm.
        if "reminders" in policy.model_fields_set:
            yield from _reminders(ground, place, policy)


def _reminders(ground: _Ground, place: str, policy: Policy) -> Iterator[Fault]:
    for number, step in enumerate(policy.reminders, 1):
        field = f"{place}.reminders[{number}]"
        if _before_letter(policy, step.working_days, step.hours):
            yield ground.fault(
                field,
                "lần nhắc này rơi vào trước khi gửi văn bản",
                "nhắc gần thời hạn hơn, hoặc kéo dài thời hạn",
            )
        if _after_escalation(policy, step.working_days, step.hours, step.at.hour + step.at.minute / 60):
            yield ground.fault(
                field,
                "lần nhắc này đến sau khi đã báo cáo lên trên",
                "nhắc sớm hơn, hoặc tăng thời gian chờ (grace)",
            )


def _before_letter(policy: Policy, days: int, hours: int | None) -> bool:
    term = policy.deadline
    if term.hours:
        return -(hours if hours is not None else 24 * days) > term.hours
    # A working day lasts 24 hours on the clock at least, more over a weekend: only the sure cases.
    return -days > term.working_days if hours is None else False


def _after_escalation(policy: Policy, days: int, hours: int | None, at: float) -> bool:
    """True only where it is sure: hours of grace win over days, as in `deadlines.after`."""
    due = policy.deadline.at.hour + policy.deadline.at.minute / 60
    if hours is not None:
        return hours >= policy.grace_hours and bool(policy.grace_hours or not policy.grace_working_days)
    if policy.deadline.hours:
        return days > 0 and 24 * (days - 1) >= policy.grace_hours > 0
    if policy.grace_hours:
        return 24 * days + at - due >= policy.grace_hours
    return (days, at) >= (policy.grace_working_days, due)


def _directives(ground: _Ground, directives: Sequence[Directive], root: Path, exercise: bool) -> Iterator[Fault]:
    for number, one in enumerate(directives, 1):
        place = f"directives[{number}]"
        if one.issued_on > ground.today:
            yield ground.fault(
                f"{place}.issued_on", f"ngày {one.issued_on:%d/%m/%Y} còn ở phía trước", "sửa ngày ban hành"
            )
        if one.arrived_on and not one.issued_on <= one.arrived_on <= ground.today:
            yield ground.fault(f"{place}.arrived_on", "ngày đến phải từ ngày ban hành đến hôm nay", "sửa ngày đến")
        if not one.files and not exercise:
            yield ground.fault(
                f"{place}.files",
                f"thiếu tệp của văn bản {one.code}",
                "ghi tên tệp; chỉ diễn tập mới được thiếu",
            )
        for name in one.files:
            yield from _file(ground, f"{place}.files", root, name, exercise)


def _file(ground: _Ground, field: str, root: Path, name: str, exercise: bool) -> Iterator[Fault]:
    path = (root / name).resolve()
    if not path.is_relative_to(root.resolve()):
        yield ground.fault(
            field,
            f"tệp «{name}» nằm ngoài thư mục của kế hoạch",
            "chép tệp vào cạnh kế hoạch, ghi đường dẫn tương đối",
        )
    elif not path.is_file() and not exercise:
        yield ground.fault(field, f"không có tệp «{name}»", "chép tệp vào cạnh kế hoạch; chỉ diễn tập mới được thiếu")


def _letter(ground: _Ground, plan: CampaignPlan) -> Iterator[Fault]:
    signer = plan.letter.signer
    if not _valid(signer.valid_from, signer.valid_until, ground.today):
        yield ground.fault(
            "letter.signer",
            f"{signer.name} không có thẩm quyền ký vào hôm nay",
            "chọn người ký khác hoặc sửa hiệu lực",
        )
    texts = {"secrecy": plan.secrecy, "title": plan.title, "letter.subject": plan.letter.subject}
    for number, one in enumerate(plan.directives, 1):
        texts |= {f"directives[{number}].subject": one.subject, f"directives[{number}].kind": one.kind}
    for field, text in texts.items():
        if _SECRET.search(text):
            yield ground.fault(
                field,
                "văn bản mật không được gửi qua hệ thống này",
                "chuyển theo đường văn thư mật (NĐ 30/2020 Điều 15.2, 16.3, 22.4)",
            )


def _valid(start: date | None, end: date | None, day: date) -> bool:
    return (start is None or start <= day) and (end is None or day <= end)
