"""What a plan and a cascade say that cannot be carried out with this registry, now. Pure but for the files.

`congvan.reading` finds what is wrongly written; here is found what is written well and cannot work.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from congvan import policy_check, reach_check, upstream
from congvan.check_ground import Ground
from congvan.errors import Fault
from congvan.rules.cascade import bears, policy_for, valid
from congvan.rules.names import illegible
from congvan.rules.records import CampaignPlan, Cascade, Directive, Register, Settles
from congvan.rules.requirements import MOST_FILES, MOST_QUESTIONS, Kind

_SECRET = re.compile(r"\b(TUYỆT|TỐI)\s+MẬT\b|^\W*MẬT\W*$|\b(?:độ|ĐỘ|Độ)\s+(?:mật|MẬT)\s*:\s*\S", re.MULTILINE)


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
    ground = Ground(file or plan.code, {one.code: one for one in register.organisations}, now, lines or {})
    faults = check_cascade(cascade, register, now, file=cascade_file)
    faults += _legible(ground, "", plan.model_dump())
    faults += _audience(ground, plan, cascade, register)
    faults += policy_check.of_plan(ground, plan, cascade)
    faults += _questions(ground, plan, cascade)
    faults += _directives(ground, plan.directives, files_root, exercise)
    faults += _letter(ground, plan)
    if not faults:
        faults += reach_check.of_plan(ground, plan, cascade, register)
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
    ground = Ground(file or cascade.name, {one.code: one for one in register.organisations}, now, lines or {})
    faults = list(_hops(ground, cascade))
    if cascade.root in cascade.levels:
        faults += _root(ground, cascade)
    for name in ("speaks_for", "reports_to", "drafting_unit"):
        if code := getattr(cascade, name):
            faults += ground.reached(name, code)
    for number, rung in enumerate(cascade.ladder, 1):
        faults += ground.reached(f"ladder[{number}].to", rung.to)
        for code in rung.also:
            faults += ground.reached(f"ladder[{number}].also", code)
    for number, hop in enumerate(cascade.hops, 1):
        for code in hop.issue_by:
            faults += ground.reached(f"hops[{number}].issue_by", code)
    return faults + list(policy_check.of_cascade(ground, cascade))


def _root(ground: Ground, cascade: Cascade) -> Iterator[Fault]:
    """One organisation is where everything comes from: not none, and not the first of two."""
    roots = [
        one.code
        for one in ground.organisations.values()
        if one.level == cascade.root and valid(one, ground.today)
    ]
    if not roots:
        yield ground.fault(
            "root", f"danh bạ không có tổ chức nào ở cấp «{cascade.root}» còn hiệu lực", "thêm tổ chức cấp đầu"
        )
    elif len(roots) > 1:
        yield ground.fault(
            "root",
            f"danh bạ có {len(roots)} tổ chức ở cấp đầu «{cascade.root}»: {', '.join(sorted(roots)[:5])}",
            "chỉ để một tổ chức cấp đầu còn hiệu lực: sửa cấp, hoặc ghi «Hiệu lực đến»",
        )


def _hops(ground: Ground, cascade: Cascade) -> Iterator[Fault]:
    yield from ground.unknown("root", [cascade.root], cascade.levels, "cấp")
    below: dict[str, list[str]] = {}
    for number, hop in enumerate(cascade.hops, 1):
        levels = [who.level for who in hop.recipients]
        yield from ground.unknown(f"hops[{number}].issuer", [hop.issuer], cascade.levels, "cấp")
        yield from ground.unknown(f"hops[{number}].recipients", levels, cascade.levels, "cấp")
        if hop.issuer in below:
            yield ground.fault(
                f"hops[{number}].issuer",
                f"cấp «{hop.issuer}» đã có chặng ở trên",
                "gộp hai chặng làm một",
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


def _legible(ground: Ground, place: str, value: object) -> Iterator[Fault]:
    """Faults for texts that no letter and no database can carry; of a file `reading` has told already."""
    if isinstance(value, str) and (strange := illegible(value)):
        yield ground.fault(place, f"ký tự không đọc được ({strange})", "gõ lại giá trị")
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from _legible(ground, f"{place}.{name}" if place else str(name), one)
    elif isinstance(value, list | tuple):
        for number, one in enumerate(value, 1):
            yield from _legible(ground, f"{place}[{number}]", one)


def _audience(ground: Ground, plan: CampaignPlan, cascade: Cascade, register: Register) -> Iterator[Fault]:
    audience = plan.audience
    segments = {segment for one in register.organisations for segment in one.segments}
    unknown = [one for one in audience.segments if not bears(segments, one)]
    yield from ground.unknown("audience.levels", audience.levels, cascade.levels, "cấp")
    yield from ground.unknown(
        "audience.parks", audience.parks, {park.code for park in register.parks}, "khu công nghiệp"
    )
    yield from ground.unknown(
        "audience.zones", audience.zones, {park.zone for park in register.parks if park.zone}, "khu vực"
    )
    yield from ground.unknown("audience.segments", unknown, segments, "nhóm ngành")
    for field, codes in (("audience.include", audience.include), ("audience.exclude", audience.exclude)):
        yield from ground.unknown(field, codes, ground.organisations, "tổ chức")
    yield from ground.unknown("policies", plan.policies, cascade.levels, "cấp")
    for number, duty in enumerate(plan.segment_duties, 1):
        if not bears(segments, duty.segment):
            yield from ground.unknown(f"segment_duties[{number}].segment", [duty.segment], segments, "nhóm ngành")
    for number, copy in enumerate(plan.copies, 1):
        yield from ground.reached(f"copies[{number}].organisation", copy.organisation)


def _questions(ground: Ground, plan: CampaignPlan, cascade: Cascade) -> Iterator[Fault]:
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
        files = sum(one.kind is Kind.FILE for one in questions)
        if len(questions) > MOST_QUESTIONS or files > MOST_FILES:
            yield ground.fault(
                f"questions.{level}",
                f"{len(questions)} mục, trong đó {files} tệp: quá nhiều cho một biểu mẫu",
                f"hỏi không quá {MOST_QUESTIONS} mục, trong đó không quá {MOST_FILES} tệp",
            )
        seen: set[str] = set()
        for number, one in enumerate(questions, 1):
            if one.key in seen:
                yield ground.fault(
                    f"questions.{level}[{number}].key", f"mã «{one.key}» đã dùng cho mục khác", "đặt mã khác"
                )
            seen.add(one.key)


def _directives(ground: Ground, directives: Sequence[Directive], root: Path, exercise: bool) -> Iterator[Fault]:
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
            yield from upstream.faults(ground, f"{place}.files", root, name, missing=exercise)


def _letter(ground: Ground, plan: CampaignPlan) -> Iterator[Fault]:
    signer = plan.letter.signer
    if not valid(signer, ground.today):
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
