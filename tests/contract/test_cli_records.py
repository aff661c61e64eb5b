"""The commands of what is kept: audit, retention, registers, reports."""

from __future__ import annotations

import json
import sqlite3

from python_calamine import CalamineWorkbook

from congvan.acts import requests
from congvan.house import House
from tests.contract.conftest import Desk


def test_an_audit_of_an_untouched_campaign_ends_well_and_exports_its_log(desk: Desk) -> None:
    campaign = desk.launched()
    desk.turn()
    path = desk.folder / "log.jsonl"
    verdict = desk.must("audit", campaign, "--export", path, "--json").json
    assert verdict["sound"]
    assert verdict["findings"] == []
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert sum(line["record"] == "event" for line in lines) == verdict["events"] > 10
    assert "niêm phong" in desk.must("audit", campaign).out


def test_an_audit_names_what_was_changed_by_hand_and_ends_with_one(desk: Desk) -> None:
    campaign = desk.launched()
    desk.turn()
    with sqlite3.connect(desk.home / "congvan.db") as database:
        database.execute("UPDATE deliveries SET state = 'COMPLETED' WHERE state = 'SENT'")
    ran = desk.run("audit", campaign)
    assert ran.status == 1
    assert "sổ ghi COMPLETED" in ran.out
    assert desk.run("audit", campaign, "--json").json["findings"]


def test_retention_says_what_it_would_purge(desk: Desk) -> None:
    desk.launched()
    assert "Không có gì quá thời hạn giữ" in desk.must("retention", "--dry-run").out
    assert desk.must("retention", "--dry-run", "--json").json["purged"] == []


FIELDS = """
questions:
  department:
    - {key: boxes, title: Số hộp tài liệu, kind: number, unit: hộp, min: 0}
    - {key: sound, title: Còn nguyên vẹn, kind: yes_no}
    - {key: list, title: Danh mục, kind: file, required: false}
"""


def test_the_fields_of_a_report_are_given_by_telephone_and_stand_in_workbook_and_data(desk: Desk) -> None:
    desk.plan.write_text(desk.plan.read_text("utf-8") + FIELDS, "utf-8")
    first, second, *_ = desk.sent()
    (desk.folder / "danh-muc.pdf").write_bytes(b"%PDF-1.7\n%%EOF\n")
    wrong = desk.run("confirm", first["id"], "--by", "Lan", "--completed", "--field", "boxes=-1", "--json")
    assert wrong.status == 2
    assert {fault["field"] for fault in wrong.json["faults"]} == {"boxes", "sound"}
    assert "không nhỏ hơn 0" in wrong.err
    for one, boxes in ((first, "1.200"), (second, "34")):
        desk.must(
            "confirm", one["id"], "--by", "Lan", "--completed", "--field", f"boxes={boxes}", "--field", "sound=yes",
            "--file", f"list={desk.folder / 'danh-muc.pdf'}", "--note", "Đã kiểm đếm.",
        )  # fmt: skip
    for kind in ("xlsx", "json"):
        desk.must("report", "ra-soat-kho", "--format", kind, "--out", f"report.{kind}")
    data = json.loads((desk.folder / "report.json").read_text("utf-8"))
    assert data["figures"][0]["totals"]["boxes"]["sum"] == 1234
    assert data["reports"][first["id"]]["report"] == "Đã kiểm đếm."
    book = CalamineWorkbook.from_path(str(desk.folder / "report.xlsx"))
    own = book.get_sheet_by_name("Báo cáo Đơn vị thuộc Bộ").to_python()
    assert own[0][2:] == ["Số hộp tài liệu (hộp)", "Còn nguyên vẹn", "Danh mục"]
    assert {tuple(row[2:]) for row in own[1:3]} == {(1200.0, "Có", "danh-muc.pdf"), (34.0, "Có", "danh-muc.pdf")}
    sums = book.get_sheet_by_name("Tổng hợp Đơn vị thuộc Bộ").to_python()
    assert sums[-1][0] == "Tổng cộng"
    assert sums[-1][3] == 1234.0


def test_fields_without_a_report_are_refused(desk: Desk) -> None:
    first, *_ = desk.sent()
    assert desk.run("confirm", first["id"], "--by", "Lan", "--field", "boxes=1").status == 2
    assert desk.run("confirm", first["id"], "--by", "Lan", "--completed", "--field", "boxes").status == 2
    assert desk.run("confirm", first["id"], "--by", "Lan", "--completed", "--file", "no-such.pdf").status == 2


def test_the_audience_is_shown_with_reasons_and_nothing_is_launched(desk: Desk) -> None:
    desk.must("registry", "import", desk.registry)
    lines = desk.must("audience", desk.plan, "--json").lines
    assert {one["role"] for one in lines} >= {"recipient", "root", ""}
    assert all(one["why"] for one in lines)
    assert all(one["reached"] for one in desk.must("audience", desk.plan, "--only", "in", "--json").lines)
    assert "Vì sao" in desk.must("audience", desk.plan, "--only", "out").out
    assert desk.run("audience", desk.plan, "--only", "some").status == 2
    assert desk.must("status", "--json").json == {"campaigns": []}


def test_the_audience_is_that_of_today(desk: Desk) -> None:
    path = desk.registry / "contacts.csv"
    lines = path.read_text("utf-8").splitlines()
    ended = [line + "31/12/2020" if line.startswith("VU-KH,") else line for line in lines]
    path.write_text("\n".join(ended), "utf-8")
    desk.must("registry", "import", desk.registry)
    (look,) = [one for one in desk.must("audience", desk.plan, "--json").lines if one["code"] == "VU-KH"]
    assert (look["role"], look["mailbox"]) == ("recipient", False)


def test_a_late_joiner_is_taken_in_from_the_registry(desk: Desk) -> None:
    campaign = desk.launched()
    desk.turn()
    path = desk.registry / "organisations.csv"
    rows = path.read_text("utf-8-sig").splitlines()
    known = next(row for row in rows if ",department," in row)
    path.write_text("\n".join([*rows, "DV-MOI" + known[known.index(",") :]]) + "\n", "utf-8")
    desk.must("registry", "import", desk.registry)
    joined = desk.must("join", campaign, "DV-MOI", "--by", "Lan", "--json").json
    assert joined["code"].endswith("DV-MOI")
    assert joined["due_at"]
    assert desk.run("join", campaign, "DV-MOI", "--by", "Lan").status == 1
    assert desk.must("audit", campaign, "--json").json["sound"]


def test_a_register_is_written_as_pdf_and_workbook_with_all_columns(desk: Desk) -> None:
    desk.sent()
    for kind, columns in (("outgoing", 10), ("incoming", 10), ("tracking", 7)):
        for ending in ("pdf", "xlsx"):
            desk.must("register", kind, "--year", "2024", "--out", f"{kind}.{ending}", "--exercises")
        assert (desk.folder / f"{kind}.pdf").read_bytes().startswith(b"%PDF-")
        book = CalamineWorkbook.from_path(str(desk.folder / f"{kind}.xlsx"))
        sheet = book.get_sheet_by_index(0).to_python(skip_empty_area=False)
        assert sheet[3] == [f"({number})" for number in range(1, columns + 1)]
    said = desk.must("register", "incoming", "--year", "2024", "--exercises", "--json").json
    assert said["rows"][0][1] == "310"
    assert desk.must("register", "incoming", "--year", "2024", "--json").json["rows"] == []
    assert desk.run("register", "outgoing", "--year", "2024").status == 2
    assert desk.run("register", "outgoing", "--year", "2024", "--out", "x.odt").status == 2
    assert desk.run("register", "sideways", "--year", "2024", "--out", "x.pdf").status == 2


def test_a_report_comes_as_word_too(desk: Desk) -> None:
    desk.sent()
    desk.must("report", "ra-soat-kho", "--format", "docx", "--out", "report.docx")
    assert (desk.folder / "report.docx").read_bytes().startswith(b"PK")


def test_a_request_is_listed_and_decided_by_a_named_person(desk: Desk) -> None:
    first, second, *_ = desk.sent()

    async def ask(house: House) -> None:
        for one in (first, second):
            await requests.ask_to_be_left_out(house, one["id"], {"reason": "Không có kho."}, None)

    desk.within(ask)
    waiting = desk.must("requests", "--json").lines
    assert [one["words"]["reason"] for one in waiting] == ["Không có kho."] * 2
    assert "Đề nghị không áp dụng văn bản" in desk.must("requests", "ra-soat-kho").out
    assert desk.run("decide", first["code"], "--by", "Lan").status == 2
    assert desk.run("decide", first["code"], "--decline", "--by", "Lan").status == 2
    assert desk.must("decide", first["code"], "--accept", "--by", "Lan", "--json").json["done"] == "accept"
    desk.must("decide", waiting[1]["id"], "--decline", "--why", "Áp dụng cho mọi đơn vị.", "--by", "Lan")
    states = {one["id"]: one["state"] for one in desk.must("deliveries", "ra-soat-kho", "--json").lines}
    assert (states[first["id"]], states[second["id"]]) == ("EXEMPT", "SENT")
    assert desk.run("decide", first["code"], "--accept", "--by", "Lan").status == 1
    assert desk.must("audit", "ra-soat-kho", "--json").json["sound"]
