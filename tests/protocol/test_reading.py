"""Plans and cascades as people write them: read as they were meant, or refused with file, line and remedy."""

from __future__ import annotations

import errno
import hashlib
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from congvan.errors import BadInput, Fault
from congvan.reading import check, check_cascade, lines_of, read_cascade, read_plan
from congvan.registry import read_register
from congvan.rules.cascade import route
from congvan.rules.records import (
    CampaignPlan,
    Cascade,
    Deadline,
    Organisation,
    Policy,
    Register,
    Reminder,
    Settles,
)
from congvan.upstream import at_hand

CHAINS = Path(__file__).parents[1] / "data" / "chains"
NOW = datetime(2024, 3, 5, 1, tzinfo=UTC)
PLAN = (CHAINS / "two" / "plan.yaml").read_text("utf-8")
CASCADE = (CHAINS / "two" / "cascade.yaml").read_text("utf-8")

# ------------------------------------------------------------------- how it is written


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str | bytes], Path]:
    def write(content: str | bytes) -> Path:
        path = tmp_path / "plan.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


Written = Callable[[str | bytes], Path]


def faults_of(path: Path) -> tuple[Fault, ...]:
    with pytest.raises(BadInput) as refused:
        read_plan(path)
    assert all(one.message and one.remedy and one.file == str(path) for one in refused.value.faults)
    return refused.value.faults


def test_a_plan_is_read_with_the_hash_of_its_bytes(written: Written) -> None:
    path = written(PLAN)
    plan, sha256 = read_plan(path)
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert plan.directives[0].code == "77/VPCP-TL"
    assert plan.directives[0].issued_on == date(2024, 3, 4)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: unicodedata.normalize("NFD", text),
        lambda text: "\ufeff" + text,
    ],
    ids=["CRLF", "NFD", "BOM"],
)
def test_a_plan_is_read_as_editors_save_it(written: Written, change: Callable[[str], str]) -> None:
    expected, _ = read_plan(written(PLAN))
    plan, _ = read_plan(written(change(PLAN)))
    assert plan == expected
    assert unicodedata.is_normalized("NFC", plan.title)


def test_values_are_what_was_typed_and_not_what_yaml_makes_of_them(written: Written) -> None:
    text = PLAN.replace("number: 77", "number: 010").replace("code: ra-soat-kho", "code: NO")
    text += "policies:\n  department:\n    deadline: {at: 17:00, working_days: 5, hours: }\n    settles:\n"
    plan, _ = read_plan(written(text))
    assert (plan.directives[0].number, plan.code) == ("010", "NO")
    assert plan.policies["department"].deadline == Deadline(at=time(17, 0), working_days=5)
    assert plan.policies["department"].settles is Settles.ACKNOWLEDGE


@pytest.mark.parametrize("at", ["17:00+02:00", "17:00Z", "1700", "17", "17.5", "17:00:00.5"])
def test_a_time_that_is_not_what_the_clock_on_the_wall_shows_is_refused(written: Written, at: str) -> None:
    (fault,) = faults_of(written(f"{PLAN}policies:\n  department:\n    deadline: {{at: {at}}}\n"))
    assert (fault.field, "17:00" in fault.remedy) == ("policies.department.deadline.at", True)


@pytest.mark.parametrize("at", ["7:05", "07:05", "07:05:00"])
def test_a_time_may_be_written_as_people_write_it(written: Written, at: str) -> None:
    plan, _ = read_plan(written(f"{PLAN}policies:\n  department:\n    deadline: {{at: {at}}}\n"))
    assert plan.policies["department"].deadline.at == time(7, 5)


@pytest.mark.parametrize("day", ["1701216000", "0", "-86400", "1e9", "20231129"])
def test_a_bare_number_is_no_day(written: Written, day: str) -> None:
    (fault,) = faults_of(written(PLAN.replace("issued_on: 2024-03-04", f"issued_on: {day}")))
    assert (fault.field, "2023-11-29" in fault.remedy) == ("directives[1].issued_on", True)


def test_a_number_is_written_in_the_digits_that_everybody_reads(written: Written) -> None:
    (fault,) = faults_of(written(PLAN.replace("number: 77", "number: ٧٧")))
    assert (fault.field, "chữ số" in fault.remedy) == ("directives[1].number", True)


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "message", "remedy"),
    [
        ("title: Rà soát kho tài liệu năm 2024\n", "", 1, "title", "chưa điền", "bắt buộc"),
        ("title:", "tittle:", 2, "tittle", "không có trong mẫu", "«title»"),
        ("issued_on: 2024-03-04", "issued_on: 04/03/2024", 6, "directives[1].issued_on", "04/03", "năm-tháng-ngày"),
        ("issued_on: 2024-03-04", "issued_on: 2024-02-30", 6, "directives[1].issued_on", "ngày có thật", "2023-11-29"),
        ("notation: VPCP-TL", "notation: vpcp tl", 5, "directives[1].notation", "sai quy cách", "chữ in hoa"),
        ("number: 77", "number: VPCP", 4, "directives[1].number", "sai quy cách", "chữ số"),
        ("code: ra-soat-kho", "code: rà soát", 1, "code", "sai quy cách", "không dấu"),
        ("addressees: [Các đơn vị thuộc Bộ]", "addressees: []", 15, "letter.addressees", "để trống", "ít nhất một"),
        ("addressees: [Các đơn vị thuộc Bộ]", "addressees: Các đơn vị", 15, "letter.addressees", "danh sách", '"- "'),
        ("title: ", "urgency: gấp\ntitle: ", 2, "urgency", "«gấp»", "normal, urgent, very_urgent"),
        ("subject: rà soát kho tài liệu\n", f"subject: {'x' * 501}\n", 9, "directives[1].subject", "501 ký tự", "500"),
        ("title: ", "secrecy: Tối mật\ntitle: ", 1, "", "văn bản mật", "quy định"),
        ("title: ", "policies: {department: {deadline: {working_days: năm}}}\ntitle: ", 2,
         "policies.department.deadline.working_days", "không phải là số nguyên", "ví dụ 5"),
        ("title: ", "policies: {department: {deadline: {working_days: -1}}}\ntitle: ", 2,
         "policies.department.deadline.working_days", "quá nhỏ", "không nhỏ hơn 0"),
        ("title: ", "policies: {department: {deadline: {working_days: 900}}}\ntitle: ", 2,
         "policies.department.deadline.working_days", "quá lớn", "không lớn hơn 250"),
        ("title: ", "policies: {department: {deadline: {calendar: lunar}}}\ntitle: ", 2,
         "policies.department.deadline.calendar", "«lunar»", "state, enterprise, both"),
        ("title: ", "policies: {department: {deadline: {at: chiều}}}\ntitle: ", 2,
         "policies.department.deadline.at", "không phải là giờ", "17:00"),
        ("title: ", "policies: {department: ngay}\ntitle: ", 2, "policies.department", "nhóm mục", "thụt vào"),
        ("title: ", "title: hai lần\ntitle: ", 3, "title", "hai lần", "giữ lại một"),
        ("title: ", "title: !!python/name:os.system\nx: ", 2, "title", "không được phép", "bỏ dấu !"),
        ("  lead: ", "\tlead: ", 17, "", "tab", "dấu cách"),
        ("title: ", "title: Rà soát: ", 2, "", "cú pháp", "dấu nháy kép"),
    ],
)  # fmt: skip
def test_a_fault_names_line_field_and_remedy(
    written: Written, old: str, new: str, line: int, field: str, message: str, remedy: str
) -> None:
    assert PLAN.count(old) >= 1
    found = faults_of(written(PLAN.replace(old, new, 1)))
    assert (line, field) in [(one.row, one.field) for one in found]
    (fault,) = (one for one in found if one.field == field)
    assert message in fault.message
    assert remedy in fault.remedy


def test_every_fault_of_a_plan_is_told_at_once(written: Written) -> None:
    broken = (
        PLAN.replace("number: 77", "number: x").replace("title:", "titel:").replace("    issued_on: 2024-03-04\n", "")
    )
    assert {one.field for one in faults_of(written(broken))} == {
        "directives[1].number",
        "directives[1].issued_on",
        "title",
        "titel",
    }


@pytest.mark.parametrize("content", [b"", b"\n \n", b"# only words\n"])
def test_an_empty_plan_is_refused(written: Written, content: bytes) -> None:
    (fault,) = faults_of(written(content))
    assert "rỗng" in fault.message or "không có nội dung" in fault.message


def test_a_missing_plan_is_refused(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path / "plan.yaml")
    assert "không đọc được" in fault.message


def test_a_plan_that_is_not_utf_8_is_refused_with_its_line(written: Written) -> None:
    data = PLAN.encode().replace("Rà soát".encode(), b"R\xe0 so\xe1t", 1)
    (fault,) = faults_of(written(data))
    assert (fault.row, "UTF-8" in fault.remedy) == (2, True)


def test_a_plan_beyond_measure_is_refused(written: Written) -> None:
    (fault,) = faults_of(written(PLAN + "# " + "x" * 1024 * 1024))
    assert "1 MB" in fault.message


_LAUGHS = "b0: &b0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"b{n}: &b{n} [{', '.join([f'*b{n - 1}'] * 9)}]\n" for n in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (_LAUGHS, "quá nhiều mục"),
        ("a: &a [*a]\n", "lồng quá sâu"),
        ("[" * 5_000, "quá sâu"),
        ("- " * 60 + "x", "lồng quá sâu"),
        ("{? {a: b} : c}", "tên mục phải là một chữ"),
        ("a: \x01", "ký tự không đọc được"),
        ("--- a\n--- b\n", "cú pháp"),
        ("a: *nobody", "cú pháp"),
        ("%YAML 9.9\n---\na: b", "cú pháp"),
        ("a: !!python/object/apply:os.getcwd []", "không được phép"),
    ],
    ids=["laughs", "itself", "deep", "deep list", "key", "control", "two", "alias", "version", "object"],
)
def test_yaml_made_to_harm_ends_in_a_fault(written: Written, text: str, message: str) -> None:
    assert message in faults_of(written(text))[0].message


@pytest.mark.parametrize(
    "escape",
    [r"\0", r"\a", r"\e", r"\x7f", r"\x9b", r"\uD800", r"\uFFFD", r"\u202E", r"\u2066", r"\U00110000", r"\Uffffffff"],
)
def test_a_letter_that_no_database_or_eye_can_take_is_refused_with_its_line(written: Written, escape: str) -> None:
    title = next(number for number, line in enumerate(PLAN.splitlines(), 1) if line.startswith("title:"))
    lines = PLAN.splitlines()
    lines[title - 1] = f'title: "a{escape}b"'
    (fault,) = faults_of(written("\n".join(lines)))
    assert fault.row == title
    assert "ký tự" in fault.message
    lines[title - 1] = f'title: a\n"b{escape}": c'
    (fault,) = faults_of(written("\n".join(lines)))
    assert fault.row == title + 1


def test_an_escape_that_is_a_letter_is_read_as_that_letter(written: Written) -> None:
    title = next(line for line in PLAN.splitlines() if line.startswith("title:"))
    plan, _ = read_plan(written(PLAN.replace(title, r'title: "R\u00e0 so\xe1t"')))
    assert plan.title == "Rà soát"


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_damaged_plan_ends_in_faults_and_never_in_a_traceback(written: Written, data: st.DataObject) -> None:
    content = PLAN.encode()
    spot = data.draw(st.integers(0, len(content)))
    junk = data.draw(st.one_of(st.binary(max_size=20), st.text(max_size=10).map(str.encode)))
    path = written(content[:spot] + junk + content[spot + data.draw(st.integers(0, 20)) :])
    with suppress(BadInput):  # any other error fails the test
        read_plan(path)


# ------------------------------------------------------------------- what it says


def scene(chain: str) -> tuple[CampaignPlan, Cascade, Register]:
    folder = CHAINS / chain
    cascade = read_cascade(folder / "cascade.yaml")
    return read_plan(folder / "plan.yaml")[0], cascade, read_register([folder / "registry"], cascade.levels)


@pytest.mark.parametrize(
    ("chain", "now", "hops"),
    [("two", NOW, 1), ("five", datetime(2024, 5, 7, 1, tzinfo=UTC), 1 + 2 + 4 + 8)],
)
def test_chains_of_another_world_are_only_data(chain: str, now: datetime, hops: int) -> None:
    plan, cascade, register = scene(chain)
    assert check(plan, cascade, register, now, CHAINS / chain, exercise=True) == []
    assert len(route(register, cascade, plan).hops) == hops


def faults(
    *,
    plan: dict[str, Any] | None = None,
    cascade: dict[str, Any] | None = None,
    organisations: Callable[[Organisation], Organisation] = lambda one: one,
    now: datetime = NOW,
    root: Path = CHAINS,
    exercise: bool = True,
) -> list[Fault]:
    """The faults of the chain of two after these changes."""
    old_plan, old_cascade, register = scene("two")
    new_plan = CampaignPlan.model_validate({**old_plan.model_dump(exclude_unset=True), **(plan or {})})
    new_cascade = Cascade.model_validate({**old_cascade.model_dump(exclude_unset=True), **(cascade or {})})
    register = Register(organisations=tuple(map(organisations, register.organisations)))
    found = check(new_plan, new_cascade, register, now, root, exercise=exercise)
    assert all(one.message and one.remedy and one.file for one in found)
    return found


def only(found: list[Fault]) -> Fault:
    assert len(found) == 1, [str(one) for one in found]
    return found[0]


@pytest.mark.parametrize(
    ("audience", "message"),
    [
        ({"levels": ["ministry"]}, "không chọn được tổ chức nào"),
        ({"exclude": ["VU-KH", "VU-PC", "VU-TC", "CUC-SO", "CUC-LT", "TT-BD"]}, "không chọn được tổ chức nào"),
        ({"levels": ["government"]}, "chuỗi không chuyển văn bản đến cấp «government»: 1 đơn vị được chọn"),
    ],
)
def test_an_audience_that_selects_nobody_is_refused(audience: dict[str, Any], message: str) -> None:
    fault = only(faults(plan={"audience": audience}))
    assert fault.field == "audience"
    assert fault.message.startswith(message)


@pytest.mark.parametrize(
    ("plan", "field"),
    [
        ({"audience": {"levels": ["departments"]}}, "audience.levels"),
        ({"audience": {"parks": ["KHU-X"]}}, "audience.parks"),
        ({"audience": {"segments": ["digitall"]}}, "audience.segments"),
        ({"audience": {"include": ["VU-XX"]}}, "audience.include"),
        ({"audience": {"exclude": ["VU-XX"]}}, "audience.exclude"),
        ({"policies": {"tenant": {}}}, "policies"),
        ({"copies": [{"organisation": "VU-XX"}]}, "copies[1].organisation"),
        (
            {"segment_duties": [{"segment": "paper", "sentence": "a", "tick": "b"}]},
            "segment_duties[1].segment",
        ),
    ],
)
def test_a_code_that_nobody_bears_is_refused(plan: dict[str, Any], field: str) -> None:
    fault = only(faults(plan=plan))
    assert fault.field == field
    assert "không có" in fault.message


def test_a_form_brings_in_no_letter_either_that_no_database_can_take() -> None:
    letter = scene("two")[0].letter
    words = letter.model_dump() | {"lead": "x\0y", "requests": ["được", "\u202e"]}
    assert [one.field for one in faults(plan={"letter": words})] == ["letter.lead", "letter.requests[2]"]


def test_a_mistyped_code_is_refused_with_the_one_that_was_meant() -> None:
    assert "«digital»" in only(faults(plan={"audience": {"segments": ["digitall"]}})).remedy


def _hop(issuer: str, *levels: str) -> dict[str, Any]:
    return {
        "issuer": issuer,
        "template": "t",
        "issue": "signed",
        "recipients": [{"level": level} for level in levels],
    }


@pytest.mark.parametrize(
    ("hops", "message"),
    [
        ([_hop("ministry", "department"), _hop("department", "office"), _hop("office", "department")],
         "department → office → department"),
        ([_hop("ministry", "ministry")], "ministry → ministry"),
        ([_hop("ministry", "department"), _hop("ministry", "office")], "đã có chặng"),
        ([_hop("ministry", "department"), _hop("office", "department")], "không bao giờ đến cấp «office»"),
        ([_hop("ministry", "village")], "không có cấp «village»"),
    ],
)  # fmt: skip
def test_a_cascade_that_turns_in_circles_or_hangs_in_the_air_is_refused(hops: list[Any], message: str) -> None:
    assert any(message in fault.message for fault in faults(cascade={"hops": hops}))


def test_two_ways_to_one_level_are_no_loop() -> None:
    hops = [_hop("ministry", "office", "department"), _hop("office", "department")]
    # What lies below the office waits for its passing-on.
    hops[0]["recipients"] = [{"level": "office", "policy": {"settles": "forward"}}, {"level": "department"}]
    assert faults(cascade={"hops": hops}) == []


def test_a_root_that_nobody_is_or_that_is_no_level_is_refused() -> None:
    levels = {**scene("two")[1].levels, "village": "Thôn"}
    found = faults(cascade={"root": "village", "levels": levels})
    assert any("không có tổ chức nào ở cấp" in one.message for one in found)
    assert any(one.field == "root" for one in faults(cascade={"root": "village"}))


def test_two_of_the_first_level_are_refused_and_one_that_has_ended_does_not_count() -> None:
    """The letter would come from whoever is first by code."""

    def raised(**more: Any) -> Callable[[Organisation], Organisation]:
        return lambda one: one.model_copy(update={"level": "ministry"} | more) if one.code == "LDB" else one

    found = [one for one in faults(organisations=raised()) if one.field == "root"]
    assert "2 tổ chức ở cấp đầu «ministry»: BO-TM, LDB" in only(found).message
    assert faults(organisations=raised(valid_until=date(2024, 3, 4))) == []


def test_a_rung_to_nobody_is_refused() -> None:
    fault = only(faults(cascade={"ladder": [{"to": "VPB"}, {"to": "VPX"}]}))
    assert (fault.field, "«VPB»" in fault.remedy) == ("ladder[2].to", True)


@pytest.mark.parametrize("name", ["speaks_for", "reports_to", "drafting_unit"])
def test_whoever_the_cascade_names_must_exist(name: str) -> None:
    assert only(faults(cascade={name: "VU-XX"})).field == name


def test_a_rung_without_a_mailbox_is_refused() -> None:
    found = faults(organisations=lambda one: one.model_copy(update={"contacts": ()}) if one.code == "LDB" else one)
    assert only(found).field == "ladder[2].to"


def test_a_mailbox_that_has_expired_counts_as_none() -> None:
    def expire(one: Organisation) -> Organisation:
        old = [contact.model_copy(update={"valid_until": date(2024, 3, 4)}) for contact in one.contacts]
        return one.model_copy(update={"contacts": tuple(old)}) if one.code == "LDB" else one

    assert "còn hiệu lực" in only(faults(organisations=expire)).message
    assert faults(organisations=expire, now=datetime(2024, 3, 4, 1, tzinfo=UTC)) == []


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (Policy(deadline=Deadline(working_days=2), reminders=(Reminder(working_days=-3),)), "trước khi gửi"),
        (Policy(deadline=Deadline(hours=4, minimum_hours=1), reminders=(Reminder(hours=-5),)), "trước khi gửi"),
        (Policy(grace_working_days=1, reminders=(Reminder(working_days=2),)), "sau khi đã báo cáo"),
        (
            Policy(grace_working_days=1, reminders=(Reminder(working_days=1, at=time(17)),)),
            "sau khi đã báo cáo",
        ),
        (Policy(grace_working_days=0, reminders=(Reminder(working_days=1),)), "sau khi đã báo cáo"),
        (Policy(grace_working_days=0, grace_hours=2, reminders=(Reminder(hours=3),)), "sau khi đã báo cáo"),
        (
            Policy(grace_working_days=0, grace_hours=2, reminders=(Reminder(working_days=1),)),
            "sau khi đã báo cáo",
        ),
    ],
)
def test_a_reminder_that_can_never_come_is_refused(policy: Policy, message: str) -> None:
    fault = only(faults(plan={"policies": {"department": policy.model_dump(exclude_unset=True)}}))
    assert fault.field == "policies.department.reminders[1]"
    assert message in fault.message


@pytest.mark.parametrize(
    "policy",
    [
        Policy(reminders=(Reminder(working_days=-2), Reminder(working_days=0), Reminder(working_days=1))),
        Policy(
            deadline=Deadline(hours=6, minimum_hours=2),
            grace_working_days=0,
            grace_hours=1,
            reminders=(Reminder(hours=0),),
        ),
        Policy(deadline=Deadline(hours=6, minimum_hours=2), grace_hours=1),
        Policy(grace_working_days=0, grace_hours=16, reminders=(Reminder(working_days=1),)),
    ],
)
def test_reminders_that_can_come_are_accepted(policy: Policy) -> None:
    assert faults(plan={"policies": {"department": policy.model_dump(exclude_unset=True)}}) == []


def test_a_deadline_in_the_past_is_refused() -> None:
    today = {"policies": {"department": {"deadline": {"working_days": 0, "at": "08:00"}}}}
    assert "đã qua" in only(faults(plan=today, now=NOW)).message  # 08:00 in Vietnam
    assert faults(plan=today, now=datetime(2024, 3, 5, 0, 59, tzinfo=UTC)) == []


def test_a_directive_of_tomorrow_is_refused() -> None:
    late = {"number": "1", "notation": "A", "issued_on": date(2024, 3, 6), "issuer": "x", "subject": "y"}
    assert only(faults(plan={"directives": [late]})).field == "directives[1].issued_on"
    assert faults(plan={"directives": [late]}, now=datetime(2024, 3, 5, 17, tzinfo=UTC)) == []


def test_an_arrival_before_the_issue_is_refused() -> None:
    early = {
        "number": "1",
        "notation": "A",
        "issued_on": date(2024, 3, 4),
        "arrived_on": date(2024, 3, 3),
        "issuer": "x",
        "subject": "y",
    }
    assert only(faults(plan={"directives": [early]})).field == "directives[1].arrived_on"


def test_a_signer_without_authority_today_is_refused() -> None:
    letter = scene("two")[0].letter.model_dump()
    letter["signer"]["valid_until"] = date(2024, 3, 4)
    assert only(faults(plan={"letter": letter})).field == "letter.signer"


def _with_files(*files: str) -> dict[str, Any]:
    directive = scene("two")[0].directives[0].model_dump() | {"files": files}
    return {"directives": [directive]}


def test_a_real_launch_needs_the_files_of_the_directive(tmp_path: Path) -> None:
    assert "thiếu tệp" in only(faults(exercise=False)).message
    plan = _with_files("goc.pdf")
    assert "không có tệp «goc.pdf»" in only(faults(plan=plan, root=tmp_path, exercise=False)).message
    assert faults(plan=plan, root=tmp_path, exercise=True) == []
    (tmp_path / "goc.pdf").write_bytes(b"%PDF-1.7\n%%EOF\n")
    assert faults(plan=plan, root=tmp_path, exercise=False) == []


@pytest.mark.parametrize("exercise", [False, True])
@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("goc.pdf", b"", "rỗng"),
        ("goc.pdf", b"hello", "nội dung không đúng với tên"),
        ("goc.exe", b"MZ", "không thuộc loại được gửi"),
        ("goc.pdf", b"%PDF-1.7" + bytes(30 * 1024 * 1024) + b"%%EOF", "lớn hơn 30 MB"),
    ],
    ids=["empty", "text", "program", "large"],
)
def test_a_file_that_is_no_document_is_enclosed_to_nobody(
    tmp_path: Path, exercise: bool, name: str, data: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(data)
    fault = only(faults(plan=_with_files(name), root=tmp_path, exercise=exercise))
    assert fault.field == "directives[1].files"
    assert f"tệp «{name}»" in fault.message
    assert message in fault.message


@pytest.mark.parametrize(
    "name", ["a" * 300 + ".pdf", "goc.pdf/x.pdf", "khoá.pdf", "a\0b.pdf"], ids=["long", "below a file", "locked", "nul"]
)
def test_a_name_that_no_disk_takes_and_a_file_that_nobody_may_read_are_faults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    whole = Path.read_bytes

    def read(path: Path) -> bytes:
        if tmp_path in path.parents:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return whole(path)

    (tmp_path / "khoá.pdf").write_bytes(b"%PDF-1.7\n%%EOF\n")
    monkeypatch.setattr(Path, "read_bytes", read)
    found = faults(plan=_with_files(name), root=tmp_path, exercise=False)
    assert any(one.field == "directives[1].files" and f"«{name[:60]}" in one.message for one in found)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_file_is_found_however_the_disk_composes_its_name(tmp_path: Path, form: Literal["NFC", "NFD"]) -> None:
    """A plan is read in NFC: a name that a Mac has written could not be named at all."""
    folder = tmp_path / unicodedata.normalize(form, "phụ lục")
    folder.mkdir()
    (folder / unicodedata.normalize(form, "văn bản.pdf")).write_bytes(b"%PDF-1.7\n%%EOF\n")
    assert faults(plan=_with_files("phụ lục/văn bản.pdf"), root=tmp_path, exercise=False) == []
    path = at_hand(tmp_path, "phụ lục/văn bản.pdf")
    assert path is not None
    assert path.is_file()


@pytest.mark.parametrize("name", ["../goc.pdf", "/etc/passwd", "a/../../goc.pdf"])
def test_a_file_outside_the_folder_of_the_plan_is_refused_even_in_an_exercise(tmp_path: Path, name: str) -> None:
    (tmp_path / "goc.pdf").write_bytes(b"%PDF")
    root = tmp_path / "campaign"
    root.mkdir()
    assert "nằm ngoài" in only(faults(plan=_with_files(name), root=root)).message


@pytest.mark.parametrize("subject", ["TỐI MẬT: kế hoạch", "kế hoạch (TUYỆT MẬT)", "Độ mật: Mật"])
def test_a_classified_document_is_refused(subject: str) -> None:
    directive = scene("two")[0].directives[0].model_dump() | {"subject": subject}
    fault = only(faults(plan={"directives": [directive]}))
    assert "văn bản mật" in fault.message


def test_an_ordinary_word_about_secrecy_is_no_mark(written: Written) -> None:
    assert faults(plan={"title": "Bảo vệ bí mật nhà nước và bảo mật thông tin"}) == []


def test_a_fault_that_is_found_late_still_names_the_line(written: Written) -> None:
    path = written(PLAN.replace("organisation: CP-MAU", "organisation: CP-XX"))
    _, cascade, register = scene("two")
    found = check(
        read_plan(path)[0],
        cascade,
        register,
        NOW,
        CHAINS,
        exercise=True,
        file=str(path),
        lines=lines_of(path),
    )
    fault = only(found)
    assert path.read_text("utf-8").splitlines()[(fault.row or 0) - 1].endswith("CP-XX, purpose: để báo cáo}")
    assert fault.file == str(path)


def test_a_cascade_can_be_checked_before_any_plan() -> None:
    _, cascade, register = scene("five")
    assert check_cascade(cascade, register, NOW) == []
    fault = only(check_cascade(cascade.model_copy(update={"speaks_for": "AI-DO"}), register, NOW, file="cascade.yaml"))
    assert (fault.file, fault.field) == ("cascade.yaml", "speaks_for")
