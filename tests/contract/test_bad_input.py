"""Every kind of bad input, as an operator hands it in: refused with file, row, field and remedy, or read right.

What is refused ends with status 2 and leaves every table as it was.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
import yaml

from congvan.errors import BadInput
from flows.campaign import campaign, campaign_in_full
from tests.contract.conftest import Desk, Ran

Change = Callable[[Desk], Path]
ORGANISATIONS, CONTACTS, PARKS = "organisations.csv", "contacts.csv", "parks.csv"
ROW = "VU-KH,Vụ Kế hoạch,,department,VUKH,BO-TM,,,,,Thủ Đô,,,,có"


@pytest.fixture
def ready(desk: Desk) -> Desk:
    """A desk whose database has a good registry already."""
    desk.must("registry", "import", desk.registry)
    return desk


def refused(desk: Desk, *arguments: str | Path) -> Ran:
    """A command that must be refused, twice over: for the person and, with --json, for the script."""
    before = desk.dump()
    assert before, "the database has to be there to stay as it is"
    plain = desk.run(*arguments)
    ran = desk.run(*arguments, "--json")
    assert plain.status == ran.status == 2, ran.err
    assert plain.out == ""
    assert plain.err == ran.err
    assert "Traceback" not in ran.err
    for fault in ran.json["faults"]:
        assert set(fault) == {"file", "row", "field", "message", "remedy"}
        assert fault["file"]
        assert fault["message"]
        assert fault["remedy"]
        assert all(fault[name] in ran.err for name in ("file", "field", "message", "remedy"))
        if fault["row"]:
            assert f"dòng {fault['row']}" in ran.err
    assert desk.dump() == before
    return ran


def told(ran: Ran, file: str, field: str, row: int | None, *words: str) -> dict[str, Any]:
    """The one fault with this file, field and row; its message or remedy holds the words."""
    faults = ran.json["faults"]
    found = [
        one for one in faults if one["file"].endswith(file) and one["field"] == field and row in (None, one["row"])
    ]
    assert found, faults
    said = f"{found[0]['message']} {found[0]['remedy']}"
    assert all(word in said for word in words), said
    return dict(found[0])


# ------------------------------------------------------------------------------------ a registry


def organisations(desk: Desk) -> Path:
    return desk.registry / ORGANISATIONS


def edited(file: str, old: str, new: str) -> Change:
    def change(desk: Desk) -> Path:
        desk.change(desk.registry / file, old, new)
        return desk.registry

    return change


def as_bytes(file: str, make: Callable[[str], bytes]) -> Change:
    def change(desk: Desk) -> Path:
        path = desk.registry / file
        path.write_bytes(make(path.read_text("utf-8-sig")))
        return desk.registry

    return change


def a_formula_in_a_workbook(desk: Desk) -> Path:
    path = desk.folder / "danh-ba.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet("Tổ chức")
        sheet.write_row(0, 0, ["Mã tổ chức", "Tên tổ chức", "Cấp"])
        sheet.write_row(1, 0, ["DN-01", "", "department"])
        sheet.write_formula(1, 1, '=HYPERLINK("http://xau.example","Bấm vào đây")', None, "Bấm vào đây")
    return path


REGISTRIES: dict[str, tuple[Change, str, str, int | None, tuple[str, ...]]] = {
    "a missing name": (
        edited(ORGANISATIONS, "VU-KH,Vụ Kế hoạch,", "VU-KH,,"),
        ORGANISATIONS, "Tên tổ chức", 6, ("điền",),
    ),
    "a missing column": (
        edited(ORGANISATIONS, ",Cấp,", ",Ghi chú,"),
        ORGANISATIONS, "Cấp", 1, ("thêm cột",),
    ),
    "an unknown park": (
        edited(ORGANISATIONS, ROW, ROW.replace("BO-TM,,", "BO-TM,KCN-LA,")),
        ORGANISATIONS, "Khu công nghiệp", 6, ("KCN-LA",),
    ),
    "an unknown level": (
        edited(ORGANISATIONS, ROW, ROW.replace("department", "departmet")),
        ORGANISATIONS, "Cấp", 6, ("departmet",),
    ),
    "a duplicate code": (
        edited(ORGANISATIONS, "VU-PC,Vụ Pháp chế", "vu-kh,Vụ Pháp chế"),
        ORGANISATIONS, "Mã tổ chức", 7, ("vu-kh", "dòng 6", "bỏ dòng thừa"),
    ),
    "a loop of parents": (
        edited(ORGANISATIONS, "BTM,CP-MAU,", "BTM,VU-KH,"),
        ORGANISATIONS, "Cấp trên trực tiếp", None, ("đi vòng",),
    ),
    "an invalid address": (
        edited(CONTACTS, "vanthu@bo-tm.example", "vanthu.bo-tm.example"),
        CONTACTS, "Thư điện tử", 3, ("vanthu.bo-tm.example", "ten@tenmien"),
    ),
    "two addresses in one cell": (
        edited(CONTACTS, "vanthu@bo-tm.example", "a@b.example; c@d.example"),
        CONTACTS, "Thư điện tử", 3, ("mỗi hộp thư",),
    ),
    "an encoding that is no Vietnamese one": (
        as_bytes(ORGANISATIONS, lambda text: text.encode("utf-8").replace("Vụ".encode(), b"V\xf4\xfe\xae")),
        ORGANISATIONS, "", None, ("bảng mã", "UTF-8"),
    ),
    "an empty file": (
        as_bytes(ORGANISATIONS, lambda _: b""),
        ORGANISATIONS, "", None, ("tệp rỗng", "chọn đúng tệp"),
    ),
    "a file of blanks": (
        as_bytes(ORGANISATIONS, lambda _: b"\xef\xbb\xbf\r\n\r\n"),
        ORGANISATIONS, "", None, ("không nhận ra bảng", "congvan registry template"),
    ),
    "headings without a row": (
        as_bytes(ORGANISATIONS, lambda text: text.splitlines()[0].encode()),
        CONTACTS, "Mã tổ chức", 2, ("CP-MAU",),
    ),
    "a name of 501 letters": (
        edited(ORGANISATIONS, "Vụ Kế hoạch", "Ộ" * 501),
        ORGANISATIONS, "Tên tổ chức", 6, ("501", "500"),
    ),
    "a formula in a workbook": (a_formula_in_a_workbook, "trang «Tổ chức»", "Tên tổ chức", 2, ("công thức",)),
    "a formula-like text": (
        edited(ORGANISATIONS, "Vụ Kế hoạch", '"=HYPERLINK(""http://xau.example"",""x"")"'),
        ORGANISATIONS, "Tên tổ chức", 6, ("=",),
    ),
    "a day that does not exist": (
        edited(ORGANISATIONS, ROW, ROW.replace("Thủ Đô,,,,", "Thủ Đô,,30/02/2024,,")),
        ORGANISATIONS, "Hiệu lực từ", 6, ("30/02/2024",),
    ),
    "a folder without a table": (lambda desk: desk.folder, "", "", None, (".csv",)),
    "a file that is not there": (lambda desk: desk.folder / "khong-co.csv", "khong-co.csv", "", None, ("đường dẫn",)),
}  # fmt: skip


@pytest.mark.parametrize("kind", REGISTRIES)
def test_a_bad_registry_is_refused_as_a_whole(ready: Desk, kind: str) -> None:
    change, file, field, row, words = REGISTRIES[kind]
    told(refused(ready, "registry", "import", change(ready)), file, field, row, *words)


def test_every_fault_of_a_registry_is_told_at_once(ready: Desk) -> None:
    ready.change(organisations(ready), "VU-KH,Vụ Kế hoạch,", "VU-KH,,")
    ready.change(organisations(ready), "VU-PC,Vụ Pháp chế,,department", "VU-PC,Vụ Pháp chế,,phong")
    ready.change(ready.registry / CONTACTS, "vanthu@bo-tm.example", "vanthu")
    ran = refused(ready, "registry", "import", ready.registry)
    assert len(ran.json["faults"]) == 3


def names(desk: Desk) -> set[str]:
    return {row[1] for row in desk.dump()["organisations"]}


READ_RIGHT: dict[str, Callable[[str], bytes]] = {
    "UTF-8 with BOM": lambda text: text.encode("utf-8-sig"),
    "Windows-1258": lambda text: _windows_1258(text),
    "UTF-16": lambda text: text.encode("utf-16"),
    "NFD": lambda text: unicodedata.normalize("NFD", text).encode(),
    "CRLF": lambda text: text.replace("\n", "\r\n").encode(),
    "CR alone": lambda text: text.replace("\n", "\r").encode(),
    "semicolons": lambda text: text.replace(",", ";").encode(),
    "headings without diacritics": lambda text: (
        text.replace("Mã tổ chức", "Ma to chuc", 1).replace("Tên tổ chức", "TEN TO CHUC", 1).encode()
    ),
}


def _windows_1258(text: str) -> bytes:
    """Vietnamese in Windows-1258: a base letter of the code page, then its tone as a mark of its own."""
    found = bytearray()
    for letter in text:
        try:
            found += letter.encode("cp1258")
        except UnicodeEncodeError:
            marks = unicodedata.normalize("NFD", letter)
            tone = next(mark for mark in marks if mark in "\u0300\u0301\u0303\u0309\u0323")
            base = unicodedata.normalize("NFC", marks.replace(tone, ""))
            found += base.encode("cp1258") + tone.encode("cp1258")
    return bytes(found)


@pytest.mark.parametrize("written", READ_RIGHT)
def test_a_registry_is_read_right_however_an_office_saved_it(desk: Desk, written: str) -> None:
    path = organisations(desk)
    text = path.read_text("utf-8-sig").replace("\r\n", "\n")
    path.write_bytes(READ_RIGHT[written](text))
    desk.must("registry", "import", desk.registry)
    found = names(desk)
    assert {"Vụ Kế hoạch", "Cục Lưu trữ tài liệu", "Trung tâm Bồi dưỡng"} <= found
    assert all(unicodedata.is_normalized("NFC", name) for name in found)


def test_a_company_name_of_300_letters_goes_all_the_way_to_the_letter(desk: Desk) -> None:
    long = ("Công ty Trách nhiệm hữu hạn Một thành viên " * 8)[:299] + "Ộ"
    desk.change(organisations(desk), "Vụ Kế hoạch", long)
    rows = desk.sent()
    assert long in {row["name"] for row in rows}
    desk.must("report", "ra-soat-kho", "--format", "pdf", "--out", "bao-cao.pdf")
    desk.must("registry", "export", "danh-ba.xlsx")
    desk.must("registry", "import", "danh-ba.xlsx")
    assert long in names(desk)


def test_an_internationalised_domain_is_kept_in_the_form_that_every_server_takes(desk: Desk) -> None:
    desk.change(desk.registry / CONTACTS, "vanthu@bo-tm.example", "vanthu@bộ-thư-mục.example")
    desk.must("registry", "import", desk.registry)
    (record,) = [row for row in desk.dump()["organisations"] if row[0] == "BO-TM"]
    assert "@xn--" in str(record)


def test_a_mailbox_that_few_servers_can_carry_is_taken_and_named(desk: Desk) -> None:
    desk.change(desk.registry / CONTACTS, "vanthu@bo-tm.example", "vănthư@bo-tm.example")
    ran = desk.must("registry", "import", desk.registry, "--json")
    assert ran.json["needs_smtputf8"] == ["BO-TM"]
    assert "SMTPUTF8" in ran.err


def test_an_organisation_without_a_mailbox_is_taken_and_named(desk: Desk) -> None:
    path = desk.registry / CONTACTS
    kept = [line for line in path.read_text("utf-8").splitlines() if not line.startswith("VU-KH,")]
    path.write_text("\n".join(kept), "utf-8")
    ran = desk.must("registry", "import", desk.registry, "--json")
    assert ran.json["without_mailbox"] == ["VU-KH"]
    assert "VU-KH" in ran.err


# ------------------------------------------------------------------------------------ a plan


def in_plan(old: str, new: str) -> Callable[[Desk], None]:
    return lambda desk: void(desk.change(desk.plan, old, new))


def in_cascade(old: str, new: str) -> Callable[[Desk], None]:
    return lambda desk: void(desk.change(desk.cascade, old, new))


def plan_bytes(make: Callable[[str], bytes]) -> Callable[[Desk], None]:
    return lambda desk: void(desk.plan.write_bytes(make(desk.plan.read_text("utf-8"))))


def void(_: object) -> None:
    """Callers want the effect only."""


PLAN, CASCADE = "plan.yaml", "cascade.yaml"
PLANS: dict[str, tuple[Callable[[Desk], None], str, str, bool, tuple[str, ...]]] = {
    "a missing field": (in_plan("title: Rà soát", "# title: Rà soát"), PLAN, "title", True, ("điền",)),
    "a missing field inside a list": (
        in_plan("    issued_on: 2024-03-04\n", ""), PLAN, "directives[1].issued_on", True, ("điền",),
    ),
    "a field that nobody knows": (in_plan("title:", "titel:"), PLAN, "titel", True, ("title",)),
    "a field written twice": (in_plan("title:", "code: khac\ntitle:"), PLAN, "code", True, ("hai lần",)),
    "a day that does not exist": (
        in_plan("2024-03-04", "2024-02-30"), PLAN, "directives[1].issued_on", True, ("2024-02-30",),
    ),
    "a tab": (in_plan("  place:", "\tplace:"), PLAN, "", True, ("tab",)),
    "an unknown park": (
        in_plan("copies:", "audience: {parks: [KCN-LA]}\ncopies:"), PLAN, "audience.parks", True, ("KCN-LA",),
    ),
    "an unknown organisation": (
        in_plan("copies:", "audience: {include: [VU-LA]}\ncopies:"), PLAN, "audience.include", True, ("VU-LA",),
    ),
    "an audience that selects nobody": (
        in_plan("copies:", "audience: {levels: [department], segments: [digital], "
                "exclude: [CUC-SO, CUC-LT]}\ncopies:"),
        PLAN, "audience", True, ("không chọn được tổ chức nào", "nới điều kiện"),
    ),
    "a deadline in the past": (
        in_plan("copies:", 'policies: {department: {deadline: {working_days: 0, at: "00:00"}}}\ncopies:'),
        PLAN, "policies.department.deadline", True, ("đã qua", "giờ muộn hơn"),
    ),
    "a directive from the future": (
        in_plan("issued_on: 2024-03-04", "issued_on: 2999-03-04"), PLAN, "directives[1].issued_on", True, ("2999",),
    ),
    "a secret document": (
        in_plan("code: ra-soat-kho", "code: ra-soat-kho\nsecrecy: Tối mật"), PLAN, "", True, ("mật",),
    ),
    "an encoding that is not UTF-8": (
        plan_bytes(lambda text: _windows_1258(text)), PLAN, "", True, ("UTF-8", "lưu lại"),
    ),
    "an empty file": (plan_bytes(lambda _: b""), PLAN, "", False, ("tệp rỗng",)),
    "only a comment": (plan_bytes(lambda _: b"# ke hoach\n"), PLAN, "", False, ("không có nội dung",)),
    "a list instead of a plan": (plan_bytes(lambda _: b"- a\n- b\n"), PLAN, "", True, ("nhóm mục",)),
    "a loop in the cascade": (
        in_cascade(
            "ladder:",
            "  - {issuer: department, template: board, issue: signed, recipients: [{level: ministry}]}\nladder:",
        ),
        CASCADE, "hops", True, ("đi vòng", "ministry → department → ministry"),
    ),
    "a level that the cascade does not have": (
        in_cascade("level: department", "level: departmet"), CASCADE, "hops[1].recipients", True, ("departmet",),
    ),
    "a missing field of the cascade": (
        in_cascade("speaks_for:", "# speaks_for:"), CASCADE, "speaks_for", True, ("điền",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", PLANS)
def test_a_bad_plan_is_refused_and_nothing_is_launched(ready: Desk, kind: str) -> None:
    change, file, field, has_row, words = PLANS[kind]
    change(ready)
    fault = told(refused(ready, "campaign", "launch", ready.plan, "--mode", "exercise"), file, field, None, *words)
    assert (fault["row"] is not None) is has_row


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flow that is called here sends the log of this process nowhere else."""
    monkeypatch.setattr("tasks.configure", lambda _settings: None)


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("kind", [kind for kind, (_, file, field, *_) in PLANS.items() if file == PLAN and field])
def test_what_a_form_in_prefect_hands_on_is_refused_in_the_words_of_the_command_line(ready: Desk, kind: str) -> None:
    """Field by field. What cannot be written in a form is left out."""
    if kind == "a field written twice":
        pytest.skip("a form has each field once")
    PLANS[kind][0](ready)
    said = refused(ready, "campaign", "launch", ready.plan, "--mode", "exercise").json["faults"]
    filled, before = yaml.load(ready.plan.read_text("utf-8"), yaml.BaseLoader), ready.dump()
    with pytest.raises(BadInput) as told:
        asyncio.run(campaign_in_full.fn(filled, by="Lan", mode="exercise"))
    assert {one.file for one in told.value.faults} == {"biểu mẫu"}
    of_the_form = [(one.field, one.message, one.remedy) for one in told.value.faults]
    assert of_the_form == [(one["field"], one["message"], one["remedy"]) for one in said]
    assert ready.dump() == before


@pytest.mark.usefixtures("quiet")
def test_who_launches_and_how_is_asked_for_past_the_form_as_well(ready: Desk) -> None:
    before, plan = ready.dump(), yaml.load(ready.plan.read_text("utf-8"), yaml.BaseLoader)
    with pytest.raises(BadInput) as told:
        asyncio.run(campaign_in_full.fn(plan, by=" ", mode="fast"))
    assert [one.field for one in told.value.faults] == ["mode", "by"]
    assert ready.dump() == before


@pytest.mark.usefixtures("quiet")
def test_an_audience_of_the_short_form_is_read_like_that_of_a_plan(
    ready: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ready.folder / "campaigns").mkdir()
    (ready.folder / "campaigns" / ready.plan.name).write_bytes(ready.plan.read_bytes())
    monkeypatch.setenv("CONGVAN_CONFIG", str(ready.folder))
    for audience, field, word in (
        ({"park": ["KCN-LA"]}, "audience.park", "parks"), ({"parks": ["KCN-LA"]}, "audience.parks", "KCN-LA"),
    ):  # fmt: skip
        with pytest.raises(BadInput) as told:
            asyncio.run(campaign.fn(ready.plan.stem, by="Lan", mode="exercise", audience=audience))
        (fault,) = told.value.faults
        assert fault.field == field
        assert word in f"{fault.message} {fault.remedy}"


def test_a_missing_upstream_file_stops_a_live_launch_and_no_exercise(ready: Desk) -> None:
    told(refused(ready, "campaign", "launch", ready.plan), PLAN, "directives[1].files", 5, "thiếu tệp", "77/VPCP-TL")
    ready.must("campaign", "launch", ready.plan, "--mode", "exercise")


def test_every_fault_of_a_plan_is_told_at_once(ready: Desk) -> None:
    ready.change(ready.plan, "title: Rà soát", "titel: Rà soát")
    ready.change(ready.plan, "2024-03-04", "hôm qua")
    ran = refused(ready, "campaign", "launch", ready.plan)
    assert {one["field"] for one in ran.json["faults"]} == {"title", "titel", "directives[1].issued_on"}


@pytest.mark.parametrize(
    "written",
    [
        lambda text: text.encode("utf-8-sig"),
        lambda text: unicodedata.normalize("NFD", text).encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
    ],
    ids=["UTF-8 with BOM", "NFD", "CRLF"],
)
def test_a_plan_is_read_right_however_it_was_saved(ready: Desk, written: Callable[[str], bytes]) -> None:
    ready.plan.write_bytes(written(ready.plan.read_text("utf-8")))
    ready.must("campaign", "launch", ready.plan, "--mode", "exercise")
    (one,) = ready.must("status", "--json").json["campaigns"]
    assert one["subject"] == "rà soát kho tài liệu năm 2024"


def test_a_launch_without_a_registry_says_what_to_do_first(desk: Desk) -> None:
    desk.must("status")
    ran = refused(desk, "campaign", "launch", desk.plan)
    assert "congvan registry import" in ran.err


def test_a_bad_plan_is_not_previewed_either(ready: Desk) -> None:
    before = ready.dump()
    ready.change(ready.plan, "copies:", "audience: {parks: [KCN-LA]}\ncopies:")
    ran = ready.run("letter", "render", ready.plan, "--issuer", "BO-TM", "--out", "a.pdf")
    assert ran.status == 2
    assert "KCN-LA" in ran.err
    assert not (ready.folder / "a.pdf").exists()
    assert ready.dump() == before


# ------------------------------------------------------------------------------------ what is typed


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["nonsense"], "nonsense"),
        (["status", "--nonsense"], "--nonsense"),
        (["status", "one", "two"], "two"),
        (["deadline", "--days", "5"], "--from"),
        (["deadline", "--from", "2024-02-30", "--days", "5"], "2024-02-30"),
        (["deadline", "--from", "1899-02-03", "--days", "5"], "1899"),
        (["deadline", "--from", "2024-02-06", "--days", "five"], "five"),
        (["deadline", "--from", "2024-02-06", "--days", "-1"], "-1"),
        (["deadline", "--from", "2024-02-06", "--days", "5.5"], "5.5"),
        (["register", "tracking", "--year", "2023.6", "--out", "so.pdf"], "2023.6"),
        (["number", "register", "BO-TM", "--year", "99999999999999999999"], "99999999999999999999"),
        (["number", "register", "BO-TM", "--year", "999999999999"], "999999999999"),
        (["number", "reserve", "BO-TM", "BTM", "--first", "1", "--last", "2", "--year", "9999999999999", "--by", "Lan"],
         "9999999999999"),
        (["number", "reserve", "BO-TM", "BTM", "--first", "9999999999999999", "--last", "9999999999999999", "--year",
          "2024", "--by", "Lan"], "--first"),
        (["number", "reserve", "BO-TN", "BTM", "--first", "1", "--last", "2", "--year", "2024", "--by", "Lan"],
         "«BO-TM»"),
        (["audit", "one", "--export", "."], "thư mục"),
        (["extend", "one", "--until", "2204-02-06", "--why", "x"], "2204"),
        (["case", "claim", "one", "--by", "Lan", "--next", "1024-02-06"], "1024"),
        (["deadline", "--from", "2024-02-06", "--days", "5", "--calendar", "lunar"], "lunar"),
        (["campaign", "launch", "plan.yaml", "--mode", "play"], "play"),
        (["campaign", "close", "one"], "--by"),
        (["registry", "import"], "FILE"),
        (["registry", "export", "danh-ba.ods"], ".xlsx"),
        (["registry", "export", "khong/co/danh-ba.xlsx"], "khong"),
        (["registry", "template", "mau.csv"], "mau.csv"),
        (["letter", "render", "plan.yaml", "--issuer", "BO-TM", "--out", "a.odt"], "a.odt"),
        (["letter", "render", "plan.yaml", "--issuer", "BO-TN", "--out", "a.pdf"], "BO-TM"),
        (["letter", "issue", "L", "--number", "số 7", "--date", "2024-03-05"], "số 7"),
        (["letter", "issue", "L", "--number", "7", "--date", "5.3"], "5.3"),
        (["letter", "issue", "L", "--number", "7", "--date", "2999-01-01"], "2999-01-01"),
        (["letter", "issue", "L", "--number", "7", "--date", "2024-03-05", "--signed", "plan.yaml"], "PDF"),
        (["letter", "issue", "L", "--number", "7", "--date", "2024-03-05", "--signed", "no.pdf"], "no.pdf"),
        (["report", "one", "--format", "doc", "--out", "a.doc"], "doc"),
        (["report", "one", "--format", "pdf", "--out", "."], "thư mục"),
        (["confirm", "one", "--channel", "pigeon"], "pigeon"),
        (["confirm", "one", "--by", ""], "--by"),
        (["reject", "one"], "--why"),
        (["reject", "one", "--why", " "], "--why"),
        (["resend", "one", "--to", "khong phai dia chi"], "khong phai dia chi"),
        (["extend", "one", "--until", "mai", "--why", "x"], "mai"),
        (["extend", "one", "--until", "2024-02-06 25:00", "--why", "x"], "25:00"),
        (["up", "--speed", "-1"], "--speed"),
        (["up", "--days", "3"], "--days"),
        (["simulate", "--tenants", "0"], "--tenants"),
        (["lint", "khong-co.yaml"], "khong-co.yaml"),
    ],
    ids=" ".join,
)
def test_what_is_typed_wrongly_is_named_with_a_remedy_and_changes_nothing(
    ready: Desk, arguments: list[str], named: str
) -> None:
    before = ready.dump()
    ran = ready.run(*arguments)
    assert ran.status == 2, ran.err
    assert named in ran.err
    assert " → " in ran.err
    assert ran.out == ""
    assert "Traceback" not in ran.err
    assert ready.dump() == before


@pytest.mark.parametrize(
    ("name", "value"),
    [("CONGVAN_SMTP_CONNECTIONS", "many"), ("CONGVAN_LEASE_S", "1"), ("CONGVAN_DEMO", "perhaps")],
)
def test_a_wrong_setting_is_named(desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    ran = desk.run("status", "--json")
    assert ran.status == 2
    assert name in ran.err
    assert ran.json["faults"][0]["field"] == name


@pytest.mark.parametrize(
    ("name", "value", "arguments"),
    [
        ("CONGVAN_IMAP_URL", "pop3://congvan:kin-lam@mail", ["mail", "inbox"]),
        ("CONGVAN_IMAP_URL", "imaps://congvan:kin-lam@mail:993x", ["mail", "inbox"]),
        ("CONGVAN_SMTP_URL", "mailto:kin-lam", ["letter", "trial", "plan.yaml", "--recipient", "X", "--to", "a@b.vn"]),
        ("CONGVAN_DATABASE_URL", "postgresql+asyncpg://hoa:x@mail:kin-lam/c", ["status"]),
    ],
)
def test_an_address_of_a_server_that_cannot_be_read_is_named_without_its_password(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str, value: str, arguments: list[str]
) -> None:
    monkeypatch.setenv(name, value)
    ran = desk.run(*arguments)
    assert ran.status == 2
    assert name in ran.err
    assert "kin-lam" not in ran.err


@pytest.mark.parametrize("arguments", [["status"], ["deadline", "--from", "2024-02-06", "--days", "5"]], ids=" ".join)
def test_a_wrong_calendar_is_named(desk: Desk, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    (desk.folder / "calendar.yaml").write_text("corrections:\n  - date: 2024-02-30\n    kind: off\n", "utf-8")
    monkeypatch.setenv("CONGVAN_CONFIG", str(desk.folder))
    ran = desk.run(*arguments)
    assert ran.status == 2
    assert "calendar.yaml, dòng 2, «corrections[1].date»" in ran.err


# ------------------------------------------------------------------------------------ as a program


def program(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", "import sys; from congvan.cli import main; sys.exit(main())"]
    # An office machine's locale is often not UTF-8; what is printed is.
    return subprocess.run(
        [*command, *map(str, arguments)], env=os.environ | {"LC_ALL": "POSIX", "PYTHONUTF8": "0"},
        capture_output=True, check=False,
    )  # fmt: skip


def test_the_program_itself_ends_with_2_and_speaks_utf8_in_any_locale(ready: Desk) -> None:
    ready.change(organisations(ready), "VU-KH,Vụ Kế hoạch,", "VU-KH,,")
    before = ready.dump()
    ran = program("registry", "import", ready.registry)
    assert ran.returncode == 2
    assert "organisations.csv, dòng 6, «Tên tổ chức»" in ran.stderr.decode()
    assert ready.dump() == before
    ready.change(ready.plan, "title:", "titel:")
    assert program("campaign", "launch", ready.plan).returncode == 2
    assert program("nonsense").returncode == 2
    assert ready.dump() == before


def test_a_reader_that_goes_away_is_no_error_worth_a_stack(ready: Desk) -> None:
    command = f"{sys.executable} -c 'import sys; from congvan.cli import main; sys.exit(main())' --help | true"
    ran = subprocess.run(["bash", "-c", command], capture_output=True, check=False)
    assert ran.stderr == b""
