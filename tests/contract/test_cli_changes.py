"""Changes under way at the command line: pauses, more time for many, recalls, replacements, cases, the calendar."""

from __future__ import annotations

from datetime import datetime, timedelta

import pdfplumber

from congvan.acts import closing
from tests.contract.conftest import Desk

CAMPAIGN = "ra-soat-kho"
BY = ("--by", "Lan")


def letter(desk: Desk) -> str:
    """The id of the letter that has been issued."""
    rows = desk.must("letters", CAMPAIGN, "--json").json
    return str(next(row["id"] for row in rows if row["state"] == "ISSUED"))


def states(desk: Desk) -> dict[str, str]:
    """Letters by kind and state."""
    return {row["id"]: row["state"] for row in desk.must("letters", CAMPAIGN, "--json").json}


def test_a_campaign_is_paused_with_a_reason_and_goes_on(desk: Desk) -> None:
    rows = desk.sent()
    assert desk.run("campaign", "pause", CAMPAIGN, "--why", " ", *BY).status == 2
    said = desk.must("campaign", "pause", CAMPAIGN, "--why", "chờ ý kiến", *BY).out
    assert f"sẽ báo {len(rows)} nơi nhận" in said
    (told,) = desk.must("status", CAMPAIGN, "--json").json["campaigns"]
    assert (told["held"], told["paused"]) == (True, True)
    assert "Tạm dừng, thời hạn ngừng tính" in desk.must("status", CAMPAIGN).out
    desk.must("campaign", "resume", CAMPAIGN, *BY)
    assert desk.must("status", CAMPAIGN, "--json").json["campaigns"][0]["held"] is False


def test_everybody_is_given_more_time_at_once(desk: Desk) -> None:
    rows = desk.sent()
    later = datetime.fromisoformat(rows[0]["due_at"]) + timedelta(days=30)
    arguments = ("--until", f"{later:%Y-%m-%d}", "--why", "bão", *BY, "--json")
    said = desk.must("campaign", "extend", CAMPAIGN, *arguments).json
    assert said == {"extended": len(rows)}
    again = desk.must("campaign", "extend", CAMPAIGN, *arguments).json
    assert again == {"extended": 0, "not_later": len(rows)}
    nobody = desk.must("campaign", "extend", CAMPAIGN, *arguments[:-1], "--level", "nobody")
    assert nobody.out.startswith("Đã gia hạn cho 0")


def test_a_letter_is_corrected_by_pairs_of_what_was_and_what_should_be(desk: Desk) -> None:
    desk.sent()
    old = letter(desk)
    wrong = desk.run("letter", "correct", old, "--wrong", "a", "--wrong", "b", "--right", "c", *BY)
    assert (wrong.status, "mỗi --wrong cần một --right" in wrong.err) == (2, True)
    made = desk.must("letter", "correct", old, "--wrong", "ngày 1/1", "--right", "ngày 2/1", *BY, "--json").json
    assert states(desk)[made["letter"]] in ("PENDING_ISSUE", "ISSUED")


def test_the_office_adds_its_own_words_to_a_report_before_it_is_issued(desk: Desk) -> None:
    desk.sent()
    assert desk.run("letter", "add", letter(desk), "--finding", "thiếu nhân lực", *BY).status == 1
    report = desk.within(lambda house: closing.close(house, CAMPAIGN, "Lan", now_matter_what=True))
    words = ("--finding", "Thiếu nhân lực", "--finding", "Đơn vị chuyển trụ sở", "--proposal", "Gia hạn")
    assert desk.must("letter", "add", report, *words, *BY, "--json").json == {"letter": report}
    desk.must("letter", "draft", report, "--out", "report.pdf")
    with pdfplumber.open(desk.folder / "report.pdf") as pdf:
        said = "\n".join(page.extract_text() for page in pdf.pages)
    assert all(one in said for one in words if not one.startswith("--"))


def test_a_letter_is_recalled_answered_for_and_replaced(desk: Desk) -> None:
    rows = desk.sent()
    old = letter(desk)
    assert desk.must("letter", "recall", old, "--why", "sai căn cứ", *BY, "--json").json["asked"] == len(rows)
    assert states(desk)[old] == "CANCELLED"
    desk.must("recalled", rows[0]["id"], "--agreed", *BY)
    assert desk.run("recalled", rows[1]["id"], *BY).status == 2, "a refusal needs its reason"
    desk.must("recalled", rows[1]["id"], "--why", "đã lưu hồ sơ", *BY)
    made = desk.must("letter", "replace", old, desk.plan, "--why", "sửa căn cứ", *BY, "--json").json
    assert states(desk)[made["letter"]] in ("PENDING_ISSUE", "ISSUED")
    assert desk.run("letter", "recall", old, "--why", "lần nữa", *BY).status == 1


def test_a_case_is_noted_and_a_decision_without_a_case_is_refused(desk: Desk) -> None:
    rows = desk.sent()
    desk.must("reject", rows[0]["id"], "--why", "không phải chúng tôi", *BY)
    again = datetime.fromisoformat(rows[0]["due_at"]) + timedelta(days=30)
    desk.must("case", "claim", rows[0]["id"], *BY, "--next", f"{again:%Y-%m-%d}")
    desk.must("case", "note", rows[0]["id"], "đã gọi, hẹn thứ Hai", *BY)
    assert desk.run("case", "note", rows[0]["id"], " ", *BY).status == 2
    desk.must("case", "decide", rows[0]["id"], "--why", "đã giải thể", *BY)
    assert desk.run("case", "decide", rows[0]["id"], "--why", "đã giải thể", *BY).status == 1
    kinds = [event["kind"] for event in desk.must("history", rows[0]["id"], "--json").json["events"]]
    assert kinds[-4:] == ["claimed", "noted", "decided", "escalation_closed"]


def test_an_unchanged_calendar_moves_nothing_and_an_application_needs_no_name_to_look(desk: Desk) -> None:
    desk.sent()
    said = desk.must("calendar", "apply", "--dry-run", "--json").json
    assert said == {"changed": False, "told": 0, "deadlines": [], "dry_run": True}
    assert "không đổi" in desk.must("calendar", "apply", *BY).out


def test_lint_names_a_policy_that_cannot_work_with_its_line(desk: Desk) -> None:
    text = desk.plan.read_text("utf-8")
    level = desk.must("deliveries", CAMPAIGN, "--json").lines[0]["level"] if desk.sent() else ""
    desk.plan.write_text(f"{text}\npolicies:\n  {level}: {{reminders: [{{working_days: -40}}]}}\n", "utf-8")
    ran = desk.run("lint", desk.plan, "--json")
    assert ran.status == 2
    (fault,) = ran.json["faults"]
    assert (fault["field"], fault["row"]) == (
        f"policies.{level}.reminders[1]", len(desk.plan.read_text("utf-8").splitlines()),
    )  # fmt: skip


def test_the_terminal_says_what_was_done_and_never_what_was_not(desk: Desk) -> None:
    code = desk.sent()[0]["code"]
    assert desk.must("exempt", code, "--why", "đã sáp nhập", *BY).out == f"Đã miễn báo cáo: {code}\n"
    again = desk.must("exempt", code, "--why", "đã sáp nhập", *BY).out
    assert again == f"Đã miễn báo cáo từ trước, không có gì thay đổi: {code}\n"
    other = desk.run("withdraw", code, "--why", "gửi nhầm", *BY)
    assert (other.status, "không thu hồi được nữa" in other.err) == (1, True)
    assert "«Từ chối tiếp nhận» không thực hiện được" in desk.run("reject", code, "--why", "x", *BY).err
    history = desk.must("history", code).out
    assert "Miễn báo cáo" in history
    assert "exempted" not in history
    unknown = desk.run("letter", "recall", "abc", "--why", "sai", *BY)
    assert unknown.err == "congvan: không có văn bản «abc» → xem: congvan letters CAMPAIGN\n"
