"""The commands that others script against: their shapes, their JSON, how they end."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
import yaml
from cyclopts import App
from python_calamine import CalamineWorkbook

from congvan import board_check
from congvan.acts import book_cards
from congvan.cli import app, main
from congvan.commands.synopsis import COMMANDS, synopsis
from congvan.rules import labels
from congvan.rules.calendar import VIETNAM
from congvan.rules.protocol import State
from tests.conftest import ROOT
from tests.contract.conftest import Desk
from tests.signing import scanned
from tests.signing import signed as signed_file

TOTALS = {"overdue", "escalated", "late"}
PDF = b"%PDF-1.7\n%signed by hand\n%%EOF\n"


def test_the_board_is_checked_and_built_again_at_the_command_line(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = desk.launched()
    ran = desk.run("board", "check")
    assert (ran.status, "PREFECT_API_URL chưa đặt" in ran.err) == (1, True)
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    assert desk.must("board", "check").out.startswith("Đã so 0 nơi nhận"), "nothing is shown yet: nobody is asked"

    async def found(*_: object) -> board_check.Found:
        one = board_check.Difference("ra-soat-kho", "DN-1", "COMPLETED Confirmed", None)
        return board_check.Found(3, 1, (one,), ("lon",))

    monkeypatch.setattr(board_check, "compare", found)
    ran = desk.run("board", "check")
    assert (ran.status, "DN-1\tCOMPLETED Confirmed\tkhông có" in ran.out, "lon: đợt lớn" in ran.out) == (1, True, True)
    assert desk.run("board", "check", "--json").json == {
        "compared": 3, "behind": 1, "in_tables": ["lon"],
        "differences": [
            {"campaign": "ra-soat-kho", "recipient": "DN-1", "should": "COMPLETED Confirmed", "shown": None}
        ],
    }  # fmt: skip

    async def away(*_: object) -> board_check.Found:
        raise httpx.ConnectError("refused")

    monkeypatch.setattr(board_check, "compare", away)
    ran = desk.run("board", "check")
    assert (ran.status, "Prefect không trả lời" in ran.err) == (1, True)
    recipients = len(desk.must("deliveries", campaign, "--json").lines)
    assert desk.must("board", "rebuild", campaign, "--json").json == {"recipients": recipients}
    assert desk.run("board", "rebuild", "nope").status == 1


@pytest.fixture
def signed(desk: Desk) -> Path:
    path = desk.folder / "signed.pdf"
    path.write_bytes(PDF)
    return path


def program(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "import sys; from congvan.cli import main; sys.exit(main())"]
    return subprocess.run(
        [*command, *map(str, arguments)], env=os.environ | environment, capture_output=True, text=True, check=False
    )


# ------------------------------------------------------------------------------------ help


def commands_of(root: App, before: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    found = set()
    for name in root:
        if name.startswith("-"):
            continue
        inner = root[name]
        below = commands_of(inner, (*before, name))
        found |= below or {(*before, name)}
    return found


def test_help_lists_every_command_there_is_and_no_other() -> None:
    shapes = [shape for group in COMMANDS.values() for shape, _ in group]
    listed = {tuple(re.findall(r"^(?:[a-z]+(?: |$))+", shape)[0].split()) for shape in shapes}
    assert listed == commands_of(app)


def test_every_option_that_help_lists_is_an_option_of_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    for group in COMMANDS.values():
        for shape, _ in group:
            words = re.findall(r"^(?:[a-z]+(?: |$))+", shape)[0].split()
            capsys.readouterr()
            assert main([*words, "--help"]) == 0
            page = capsys.readouterr().out
            assert all(option in page for option in re.findall(r"--[a-z]+", shape)), shape


def test_help_speaks_vietnamese_and_says_of_every_command_under_a_name_what_it_does(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in sorted({words[0] for words in commands_of(app) if len(words) > 1}):
        capsys.readouterr()
        assert main([name, "--help"]) == 0
        page = capsys.readouterr().out
        assert page.startswith("Cách dùng: ")
        listed = set(re.findall(r"^  ([a-z]+): \S", page.partition("Lệnh:")[2], re.M))
        assert listed == {words[1] for words in commands_of(app) if words[0] == name and len(words) > 1}, name
    assert main(["letter", "issue", "--help"]) == 0
    page = capsys.readouterr().out
    assert not re.search(r"Usage|Arguments|Parameters|\[required\]|\[default", page)
    assert "2023-12-01 hoặc 01/12/2023" in page


def test_help_is_shown_without_a_command_and_names_what_the_exit_status_means(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert shown.strip() == synopsis().strip()
    assert "campaign launch PLAN.yaml" in shown
    assert "đầu vào sai" in shown


#: What takes long to import and no command of a moment needs; `--help` does without the database and pydantic too.
_HEAVY = {"--help": ("sqlalchemy", "pydantic", "prefect", "typst"), "deadline": ("prefect", "typst", "uvicorn")}


@pytest.mark.parametrize(
    "arguments", [["--help"], ["deadline", "--from", "2024-02-06", "--days", "5"]], ids=lambda one: one[0]
)
def test_a_command_of_a_moment_loads_nothing_that_it_does_not_need(arguments: list[str]) -> None:
    code = "import sys; from congvan.cli import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, check=True)
    loaded = set(ran.stderr.decode().split())
    assert "congvan.cli" in loaded
    assert not loaded & set(_HEAVY[arguments[0]])


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["status"], ["deadline", "--from", "2024-02-06", "--days", "5"], ["doctor"]],
    ids=lambda arguments: arguments[0],
)
def test_no_command_of_a_moment_loads_prefect(desk: Desk, arguments: list[str]) -> None:
    code = (
        "import sys; from congvan.cli import main; main(sys.argv[1:]); sys.exit(10 if 'prefect' in sys.modules else 0)"
    )
    ran = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_neither_help_nor_deadline_loads_database_typesetter_or_workbooks() -> None:
    code = (
        "import sys; from congvan.cli import main; main([]); main('deadline --from 2024-02-06 --days 5'.split()); "
        "print('loaded:', *(m for m in ('prefect', 'sqlalchemy', 'typst', 'xlsxwriter') if m in sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "loaded:"


def test_states_are_named_as_on_the_pages() -> None:
    words = yaml.safe_load((ROOT / "templates" / "portal" / "words.yaml").read_text("utf-8"))
    assert {state: words[f"state_{state}"]["vi"] for state in State} == labels.DELIVERY_STATES
    for kind, named in (("hop", labels.HOP_STATES), ("campaign", labels.CAMPAIGN_STATES)):
        assert {state: words[f"{kind}_{state}"]["vi"].capitalize() for state in named} == named


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert re.fullmatch(r"congvan \d+\.\d+\.\d+\s*", capsys.readouterr().out)


# ------------------------------------------------------------------------------------ deadline


@pytest.mark.parametrize(
    ("start", "days", "calendar", "last"),
    [
        ("2024-02-06", "5", None, "2024-02-20"),
        ("2026-08-20", "5", None, "2026-08-26"),
        ("2024-04-26", "3", None, "2024-05-06"),
        ("2024-04-26", "3", "state", "2024-05-04"),
        ("26/4/2024", "3", "both", "2024-05-06"),
        ("2023-12-01", "0", "enterprise", "2023-12-01"),
    ],
)
def test_deadline_counts_working_days(desk: Desk, start: str, days: str, calendar: str | None, last: str) -> None:
    named = ["--calendar", calendar] if calendar else []
    ran = desk.must("deadline", "--from", start, "--days", days, *named)
    assert ran.out == f"{last}\n"
    assert ran.err == ""


def test_a_deadline_in_a_year_without_announced_days_is_marked_beside_the_result(desk: Desk) -> None:
    ran = desk.must("deadline", "--from", "2030-12-20", "--days", "20")
    assert re.fullmatch(r"2031-01-\d\d\n", ran.out)
    assert "tạm tính" in ran.err
    assert "2031" in ran.err


# ------------------------------------------------------------------------------------ registry


def test_a_registry_comes_back_as_it_went_in(desk: Desk) -> None:
    counts = desk.must("registry", "import", desk.registry, "--json").json
    assert counts["organisations"] > 5
    assert counts["parks"] == 0
    before = desk.dump()["organisations"]
    for name in ("out.xlsx", "out"):
        desk.must("registry", "export", name)
        assert desk.must("registry", "import", name, "--json").json == counts
    # Code, name, level and record; the instant of the change is another one.
    assert [row[:4] for row in desk.dump()["organisations"]] == [row[:4] for row in before]


def test_a_file_without_mailboxes_and_signers_leaves_those_that_are_stored(desk: Desk) -> None:
    desk.must("registry", "import", desk.registry)
    before = desk.within(lambda house: book_cards.card(house, "BO-TM")).organisation
    assert before.contacts
    assert before.signers
    for name in ("contacts.csv", "signers.csv"):
        (desk.registry / name).unlink()
    desk.change(desk.registry / "organisations.csv", "Bộ Thư mục", "Bộ Thư mục quốc gia")
    ran = desk.must("registry", "import", desk.registry, "--by", "Lan", "--json")
    assert ran.json["without_mailbox"] == []
    card = desk.within(lambda house: book_cards.card(house, "BO-TM"))
    assert card.organisation == before.model_copy(update={"name": "Bộ Thư mục quốc gia"})
    assert [(one.by, one.why) for one in card.changes] == [("Lan", "nhập từ registry")]
    assert book_cards.differences(card.changes[0]) == [("Tên tổ chức", before.name, "Bộ Thư mục quốc gia")]
    assert desk.within(lambda house: book_cards.card(house, "VPB")).changes == []


def test_the_template_can_be_opened_and_is_never_written_over_a_filled_one(desk: Desk) -> None:
    desk.must("registry", "template", "mau.xlsx")
    filled = (desk.folder / "mau.xlsx").read_bytes()
    assert "Tổ chức" in CalamineWorkbook.from_path(str(desk.folder / "mau.xlsx")).sheet_names
    ran = desk.run("registry", "template", "mau.xlsx")
    assert ran.status == 2
    assert "mau.xlsx" in ran.err
    assert (desk.folder / "mau.xlsx").read_bytes() == filled


# ------------------------------------------------------------------------------------ campaign


def test_launch_answers_with_campaign_and_flow_run_and_does_it_once(desk: Desk) -> None:
    desk.must("registry", "import", desk.registry)
    first = desk.must("campaign", "launch", desk.plan, "--mode", "exercise", "--by", "Lan", "--json").json
    assert set(first) == {"campaign", "flow_run"}
    assert first["flow_run"] is None
    before = desk.dump()
    assert desk.must("campaign", "launch", desk.plan, "--mode", "exercise", "--json").json == first
    assert desk.dump() == before


def test_launch_waits_for_its_flow_run_only_while_a_relay_is_alive(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("congvan.commands.campaigns._RUN_WAIT_S", 0.6)
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("congvan.commands.campaigns.asyncio.sleep", sleep)
    desk.launched()
    assert slept == []
    connection = sqlite3.connect(desk.home / "congvan.db")
    connection.execute("INSERT INTO leases VALUES ('relay', 'somebody', '2999-01-01 00:00:00.000000')")
    connection.commit()
    connection.close()
    again = desk.must("campaign", "launch", desk.plan, "--mode", "exercise", "--json")
    assert again.json["flow_run"] is None
    assert len(slept) == 3


def test_status_has_the_agreed_shape(desk: Desk) -> None:
    campaign = desk.launched()
    assert desk.turn().sent
    (one,) = desk.must("status", campaign, "--json").json["campaigns"]
    assert {"id", "code", "subject", "state", "totals", "hops"} <= set(one)
    assert one["totals"].keys() >= TOTALS
    assert {"id", "issuer", "level", "state", "wake_at", "totals"} <= set(one["hops"][0])
    assert one["totals"]["SENT"] == one["totals"]["total"] == len(desk.must("deliveries", campaign, "--json").lines)
    assert desk.must("status", one["code"], "--json").json == desk.must("status", "--json").json


def test_status_in_a_pipe_is_plain_tab_separated_text(desk: Desk) -> None:
    desk.launched()
    shown = desk.must("status").out
    assert "Đơn vị\tTình trạng" in shown
    assert "─" not in shown


def test_deliveries_prints_one_object_a_line(desk: Desk) -> None:
    rows = desk.sent()
    wanted = {
        "id", "code", "recipient", "issuer", "state", "due_at", "reminders", "urged", "escalated", "late",
        "confirmed_at", "channel",
    }  # fmt: skip
    assert all(wanted <= set(row) for row in rows)
    assert {row["state"] for row in rows} == {"SENT"}
    assert rows[0]["code"] in desk.must("deliveries", "ra-soat-kho").out


def test_an_unknown_campaign_delivery_or_letter_fails_with_a_hint(desk: Desk) -> None:
    desk.launched()
    for arguments in (
        ["status", "nope"],
        ["deliveries", "nope", "--json"],
        ["letters", "nope"],
        ["confirm", "nope", "--by", "Lan"],
        ["campaign", "close", "nope", "--by", "Lan"],
        ["report", "nope", "--format", "json", "--out", "r.json"],
        ["letter", "issue", "nope", "--number", "5", "--date", "2024-03-05"],
    ):
        ran = desk.run(*arguments)
        assert ran.status == 1, arguments
        assert "nope" in ran.err
        assert ran.out == ""
        assert "Traceback" not in ran.err


def test_a_campaign_is_held_and_resumed_by_a_named_person(desk: Desk) -> None:
    campaign = desk.launched()
    desk.must("campaign", "hold", campaign, "--by", "Lan", "--why", "chờ ý kiến")
    assert desk.must("status", "--json").json["campaigns"][0]["held"]
    assert "Giữ thư lại, thời hạn vẫn tính" in desk.must("status").out
    desk.must("campaign", "resume", campaign, "--by", "Lan")
    assert not desk.must("status", "--json").json["campaigns"][0]["held"]
    assert desk.run("campaign", "hold", campaign).status == 2
    assert desk.run("campaign", "hold", campaign, "--by", " ").status == 2


def test_a_campaign_is_closed_once_all_is_settled_and_its_report_awaits_issue(desk: Desk) -> None:
    rows = desk.sent()
    ran = desk.run("campaign", "close", "ra-soat-kho", "--by", "Lan")
    assert ran.status == 1
    for row in rows:
        desk.must("confirm", row["id"], "--by", "Lan", "--completed")
    closed = desk.must("campaign", "close", "ra-soat-kho", "--by", "Lan", "--json").json
    waiting = [one for one in desk.must("letters", "ra-soat-kho", "--json").json if one["kind"] == "report"]
    assert [one["id"] for one in waiting] == [closed["report"]]
    assert waiting[0]["state"] == "PENDING_ISSUE"


# ------------------------------------------------------------------------------------ letters


def test_letters_has_the_agreed_shape(desk: Desk) -> None:
    desk.sent()
    (one,) = desk.must("letters", "ra-soat-kho", "--json").json
    assert {"id", "issuer", "kind", "state", "number", "date", "sha256", "file"} <= set(one)
    assert one["state"] == "ISSUED"
    assert one["number"] in desk.must("letters", "ra-soat-kho").out


def live(desk: Desk) -> str:
    """A live campaign whose letter awaits its issue; the letter's id."""
    (desk.folder / "vb77.pdf").write_bytes(PDF)
    desk.change(desk.plan, "    arrival_number: 310", "    files: [vb77.pdf]\n    arrival_number: 310")
    desk.launched("live")
    desk.turn()
    (letter,) = desk.must("letters", "ra-soat-kho", "--json").json
    assert letter["state"] == "PENDING_ISSUE"
    return str(letter["id"])


def clerk(desk: Desk, letter: str, number: str, date: str = "2024-03-05") -> Path:
    """What the clerk brings back: the draft with this number and date, signed."""
    path = desk.folder / f"{number}.pdf"
    desk.must("letter", "draft", letter, "--number", number, "--date", date, "--out", path)
    path.write_bytes(signed_file(path.read_bytes()))
    return path


def test_a_letter_is_issued_as_the_signed_file_byte_for_byte(desk: Desk) -> None:
    letter = live(desk)
    signed = clerk(desk, letter, "7")
    assert desk.run("letter", "issue", letter, "--number", "7", "--date", "2024-03-05").status == 1
    order: list[str | Path] = [
        "letter",
        "issue",
        letter,
        "--number",
        "7",
        "--date",
        "05/03/2024",
        "--signed",
        signed,
        "--by",
        "Hoa",
    ]
    said = desk.must(*order, "--json").json
    assert said["number"] == "07/BTM-VPB"
    assert said["date"] == "2024-03-05"
    (issued,) = desk.must("letters", "ra-soat-kho", "--json").json
    assert (issued["state"], issued["sha256"]) == ("ISSUED", said["sha256"])
    (kept,) = [row for row in desk.dump()["files"] if said["sha256"] in row]
    assert signed.read_bytes() in kept
    before = desk.dump()
    desk.must(*order)
    assert desk.dump() == before
    other = desk.run("letter", "issue", letter, "--number", "8", "--date", "2024-03-05", "--signed", signed)
    assert other.status == 1
    assert "07/BTM-VPB" in other.err


def test_where_two_are_needed_the_command_line_issues_nothing_alone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    letter = live(desk)
    monkeypatch.setenv("CONGVAN_ISSUE_NEEDS_TWO", "true")
    day = ["--number", "7", "--date", "2024-03-05", "--by", "Trần Thị Hoa", "--json", "--signed"]
    assert desk.must("letter", "issue", letter, *day, clerk(desk, letter, "7")).json["state"] == "PENDING_ISSUE"
    alone = desk.run("letter", "approve", letter, "--by", "trần thị  hoa")
    assert (alone.status, "người thứ hai" in alone.err) == (1, True)
    assert desk.must("letters", "ra-soat-kho", "--json").json[0]["state"] == "PENDING_ISSUE"
    assert desk.must("letter", "approve", letter, "--by", "Dũng", "--json").json["number"] == "07/BTM-VPB"
    assert desk.must("letters", "ra-soat-kho", "--json").json[0]["state"] == "ISSUED"


def test_a_file_that_differs_from_the_draft_is_refused_by_place_until_a_named_person_accepts_it(desk: Desk) -> None:
    letter = live(desk)
    order = ["letter", "issue", letter, "--number", "7", "--date", "2024-03-05", "--by", "Hoa", "--signed"]
    wrong = desk.run(*order, clerk(desk, letter, "8"), "--json")
    assert wrong.status == 2
    (fault,) = wrong.json["faults"]
    assert fault["field"] == "trang 1, số và ký hiệu"
    assert "«08/BTM-VPB»" in fault["message"]
    scan = desk.folder / "scan.pdf"
    scan.write_bytes(scanned())
    assert "không có chữ ký số" in desk.run(*order, scan).err
    assert "chấp nhận khác biệt" in desk.run(*order, scan, "--paper-scan").err
    desk.must(*order, scan, "--paper-scan", "--accept-differences-by", "Hoa")
    assert desk.must("letters", "ra-soat-kho", "--json").json[0]["state"] == "ISSUED"


def test_numbers_are_reserved_allocated_voided_and_listed(desk: Desk) -> None:
    letter = live(desk)
    year = str(datetime.now(VIETNAM).year)
    assert desk.run("number", "allocate", letter, "--by", "Lan").status == 1
    desk.must("number", "reserve", "BO-TM", "BTM-VPB", "--first", "5", "--last", "7", "--year", year, "--by", "Hoa")
    desk.must("number", "void", "BO-TM", "BTM-VPB", "5", "--year", year, "--why", "hỏng bản in", "--by", "Hoa")
    assert desk.must("number", "allocate", letter, "--by", "Lan").out.strip() == "06/BTM-VPB"
    found = desk.must("number", "register", "BO-TM", "--year", year, "--json").json
    assert [(one["code"], one["state"]) for one in found] == [
        ("05/BTM-VPB", "VOIDED"), ("06/BTM-VPB", "ALLOCATED"), ("07/BTM-VPB", "RESERVED"),
    ]  # fmt: skip


def test_the_draft_and_the_preview_come_as_word_too(desk: Desk) -> None:
    letter = live(desk)
    for arguments in (["draft", letter], ["render", desk.plan, "--issuer", "BO-TM"]):
        path = desk.folder / "copy.docx"
        desk.must("letter", *arguments, "--out", path)
        assert path.read_bytes().startswith(b"PK")
    assert desk.run("letter", "draft", letter, "--out", desk.folder / "copy.txt").status == 2


def test_campaign_issue_means_the_letter_of_the_authority_that_speaks(desk: Desk, signed: Path) -> None:
    early = desk.launched()
    ran = desk.run("campaign", "issue", early, "--number", "9", "--date", "2024-03-05", "--signed", signed)
    assert ran.status == 1
    assert "chưa được trình" in ran.err
    desk.change(desk.plan, "code: ra-soat-kho", "code: ra-soat-kho")
    desk.must("campaign", "hold", early, "--by", "Lan")
    desk.change(desk.plan, "code: ra-soat-kho", "code: dot-hai")
    (desk.folder / "vb77.pdf").write_bytes(PDF)
    desk.change(desk.plan, "    arrival_number: 310", "    files: [vb77.pdf]\n    arrival_number: 310")
    desk.must("campaign", "launch", desk.plan, "--by", "Lan")
    desk.turn()
    (letter,) = desk.must("letters", "dot-hai", "--json").json
    order = ["campaign", "issue", "dot-hai", "--number", "9", "--date", "2024-03-05"]
    desk.must(*order, "--signed", clerk(desk, letter["id"], "9"), "--by", "Hoa")
    assert desk.must("letters", "dot-hai", "--json").json[0]["number"] == "09/BTM-VPB"


def test_a_number_that_another_letter_bears_is_refused(desk: Desk) -> None:
    letter = live(desk)
    order: list[str | Path] = ["--number", "7", "--date", "2024-03-05", "--by", "Hoa", "--signed"]
    desk.must("letter", "issue", letter, *order, clerk(desk, letter, "7"))
    desk.change(desk.plan, "code: ra-soat-kho", "code: dot-hai")
    desk.must("campaign", "launch", desk.plan, "--by", "Lan")
    desk.turn()
    (second,) = desk.must("letters", "dot-hai", "--json").json
    ran = desk.run("campaign", "issue", "dot-hai", *order, clerk(desk, second["id"], "7"))
    assert ran.status == 1
    assert "số 07/BTM-VPB" in ran.err
    assert "Traceback" not in ran.err
    assert desk.must("letters", "dot-hai", "--json").json[0]["state"] == "PENDING_ISSUE"


@pytest.mark.parametrize("kind", ["pdf", "html"])
def test_render_shows_the_letter_and_leaves_the_database_alone(desk: Desk, kind: str) -> None:
    desk.must("registry", "import", desk.registry)
    before = desk.dump()
    out = desk.folder / f"letter.{kind}"
    desk.must("letter", "render", desk.plan, "--issuer", "BO-TM", "--out", out)
    assert desk.dump() == before
    written = out.read_bytes()
    if kind == "pdf":
        assert written.startswith(b"%PDF-")
        return
    page = written.decode()
    assert "rà soát kho tài liệu năm 2024" in page
    assert "BẢN MINH HỌA" not in page
    desk.must("letter", "render", desk.plan, "--issuer", "BO-TM", "--mode", "exercise", "--out", out)
    assert "BẢN MINH HỌA" in out.read_text("utf-8")


def test_render_needs_no_file_of_the_upstream_document(desk: Desk) -> None:
    desk.must("registry", "import", desk.registry)
    desk.change(desk.plan, "    arrival_number: 310", "    files: [khong-co.pdf]\n    arrival_number: 310")
    desk.must("letter", "render", desk.plan, "--issuer", "BO-TM", "--out", "letter.html")


def test_lint_says_what_is_against_the_rules_and_ends_accordingly(desk: Desk) -> None:
    desk.cascade.write_bytes((ROOT / "config" / "cascade.yaml").read_bytes())
    desk.plan.write_bytes((ROOT / "config" / "campaigns" / "8184.yaml").read_bytes())
    good = desk.must("lint", desk.plan, "--json").json["remarks"]
    assert [one for one in good if one["severity"] == "error"] == []
    desk.change(desk.plan, "authority: KT. ", "authority: KT.")
    ran = desk.run("lint", desk.plan)
    assert ran.status == 2
    assert "letter.signer.authority" in ran.out


# ------------------------------------------------------------------------------------ one delivery


def test_an_answer_by_telephone_is_recorded_under_a_name(desk: Desk) -> None:
    first = desk.sent()[0]
    order = ["confirm", first["code"], "--by", "Lan", "--channel", "paper", "--name", "Ông Bình", "--evidence", "CV 12"]
    said = desk.must(*order, "--json").json
    assert said["delivery"] == first["id"]
    assert said["state"] == "ACKNOWLEDGED"
    assert said["again"] is False
    assert desk.must(*order, "--json").json["again"] is True
    (now,) = [row for row in desk.must("deliveries", "ra-soat-kho", "--json").lines if row["id"] == first["id"]]
    assert (now["state"], now["channel"]) == ("ACKNOWLEDGED", "paper")
    assert now["confirmed_at"]
    assert desk.must("confirm", first["id"], "--by", "Lan", "--completed", "--json").json["state"] == "COMPLETED"


def test_who_acts_is_the_account_of_this_machine_unless_named(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "hoa")
    first = desk.sent()[0]
    desk.must("confirm", first["id"])
    assert any("hoa" in row for row in desk.dump()["events"])


def test_an_operator_rejects_exempts_withdraws_resends_and_extends(desk: Desk) -> None:
    rows = desk.sent()
    later = (datetime.fromisoformat(rows[0]["due_at"]) + timedelta(days=9)).astimezone(VIETNAM)
    desk.must("reject", rows[0]["id"], "--why", "gửi nhầm", "--by", "Lan")
    said = desk.must("case", "claim", rows[0]["id"], "--by", "Lan", "--note", "đã gọi", "--json").json
    assert said == {"delivery": rows[0]["id"], "done": "claim"}
    desk.must("resend", rows[0]["id"], "--to", "moi@don-vi.example", "--by", "Lan", "--why", "đổi hộp thư")
    desk.must("extend", rows[1]["id"], "--until", f"{later:%Y-%m-%d %H:%M}", "--why", "xin thêm", "--by", "Lan")
    desk.must("exempt", rows[2]["id"], "--why", "không liên quan", "--by", "Lan")
    desk.must("withdraw", rows[3]["id"], "--why", "gửi nhầm", "--by", "Lan")
    now = desk.must("deliveries", "ra-soat-kho", "--json").lines
    assert [row["state"] for row in now[:4]] == ["QUEUED", "SENT", "EXEMPT", "WITHDRAWN"]
    assert datetime.fromisoformat(now[1]["due_at"]) == later.replace(second=0, microsecond=0)
    assert [to for to, _ in desk.turn().sent if to == "moi@don-vi.example"]


def test_what_cannot_happen_is_refused_and_changes_nothing(desk: Desk) -> None:
    first = desk.sent()[0]
    desk.must("withdraw", first["id"], "--why", "gửi nhầm", "--by", "Lan")
    before = desk.dump()
    for arguments in (
        ["confirm", first["id"], "--by", "Lan"],
        ["reject", first["id"], "--why", "x", "--by", "Lan"],
        ["extend", first["id"], "--until", "2024-01-01", "--why", "x", "--by", "Lan"],
    ):
        ran = desk.run(*arguments)
        assert ran.status == 1, arguments
        assert ran.err
    assert desk.dump() == before


@pytest.fixture
def three_levels(desk: Desk) -> Desk:
    """The chain with companies at its bottom: a department passes the letter on to a company."""
    desk.change(
        desk.cascade,
        "ladder:",
        """\
  - issuer: department
    template: investor
    issue: company
    symbol: "{number}/CV-{abbreviation}"
    recipients: [{level: company, who: children}]
ladder:""",
    )
    desk.change(desk.cascade, "  department: ", "  company: Doanh nghiệp\n  department: ")
    desk.change(desk.cascade, "settles: complete", "settles: forward")
    with (desk.registry / "organisations.csv").open("a", encoding="utf-8") as file:
        file.write("DN-1,Công ty Mẫu Một,,company,,VU-KH,,,,,Thủ Đô,,,,có\n")
    with (desk.registry / "contacts.csv").open("a", encoding="utf-8") as file:
        file.write("DN-1,vanthu@dn-1.example,,văn thư,,1,,,\n")
    return desk


def test_passing_on_by_telephone_sends_the_companys_letter_under_its_own_number(
    three_levels: Desk, signed: Path
) -> None:
    desk = three_levels
    rows = {row["recipient"]: row for row in desk.sent()}
    order = ["forward", rows["VU-KH"]["code"], "--number", "15", "--name", "Ông Bình", "--by", "Lan"]
    said = desk.must(*order, "--signed", signed, "--json").json
    assert said["state"] == "FORWARDED"
    sent = desk.turn()
    assert len(sent.to("vanthu@dn-1.example")) == 1
    (own,) = [one for one in desk.must("letters", "ra-soat-kho", "--json").json if one["issuer"] == "VU-KH"]
    assert (own["state"], own["number"]) == ("ISSUED", "15/CV-VUKH")
    (kept,) = [row for row in desk.dump()["files"] if own["sha256"] in row]
    assert PDF in kept
    assert desk.must(*order, "--json").json["again"] is True


def test_a_preview_of_a_letter_passed_on_cites_the_one_above_with_blanks(three_levels: Desk) -> None:
    desk = three_levels
    desk.must("registry", "import", desk.registry)
    desk.must("letter", "render", desk.plan, "--issuer", "VU-KH", "--out", "letter.html")
    page = (desk.folder / "letter.html").read_text("utf-8")
    assert "số …/BTM-VPB ngày" in page
    assert "Vụ Kế hoạch" in page or "VỤ KẾ HOẠCH" in page


# ------------------------------------------------------------------------------------ report


def test_a_report_is_written_as_letter_workbook_and_data(desk: Desk) -> None:
    rows = desk.sent()
    desk.must("confirm", rows[0]["id"], "--by", "Lan", "--completed")
    for kind in ("pdf", "xlsx", "json"):
        desk.must("report", "ra-soat-kho", "--format", kind, "--out", f"report.{kind}")
    assert (desk.folder / "report.pdf").read_bytes().startswith(b"%PDF-")
    data = json.loads((desk.folder / "report.json").read_text("utf-8"))
    assert data["campaign"] == desk.must("status", "--json").json["campaigns"][0]
    assert data["deliveries"] == desk.must("deliveries", "ra-soat-kho", "--json").lines
    sheet = CalamineWorkbook.from_path(str(desk.folder / "report.xlsx")).get_sheet_by_name("Nơi nhận").to_python()
    assert len(sheet) == len(rows) + 1
    assert [row[4] for row in sheet[1:]].count("Hoàn thành") == 1


# ------------------------------------------------------------------------------------ database


def test_an_empty_database_gets_its_tables_at_the_first_command(desk: Desk) -> None:
    assert desk.must("status", "--json").json == {"campaigns": []}
    assert desk.dump()["alembic_version"]
    assert "phiên bản" in desk.must("migrate").out


def set_version(desk: Desk, version: str) -> None:
    connection = sqlite3.connect(desk.home / "congvan.db")
    connection.execute("UPDATE alembic_version SET version_num = ?", [version])
    connection.commit()
    connection.close()


def test_a_database_of_another_version_is_not_touched(desk: Desk) -> None:
    desk.must("status")
    set_version(desk, "0000")
    before = desk.dump()
    ran = desk.run("registry", "import", desk.registry)
    assert ran.status == 1
    assert "congvan migrate" in ran.err
    assert desk.run("migrate").status == 1
    assert desk.dump() == before


def test_a_database_that_cannot_be_reached_is_named_without_its_password(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONGVAN_DATABASE_URL", "postgresql+asyncpg://hoa:secret@127.0.0.1:9/congvan")
    ran = desk.run("status")
    assert ran.status == 1
    assert "127.0.0.1" in ran.err
    assert "secret" not in ran.err
    monkeypatch.setenv("CONGVAN_DATABASE_URL", "nonsense")
    assert desk.run("status").status == 1


def test_a_demo_that_was_played_here_is_shown_but_never_written_into_by_a_real_act(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONGVAN_HOME", str(desk.home / "demo"))
    desk.launched()
    monkeypatch.delenv("CONGVAN_HOME")
    desk.home.rename(desk.folder / ".congvan")
    ran = desk.must("status", "--json")
    assert [one["code"] for one in ran.json["campaigns"]] == ["ra-soat-kho"]
    assert "demo" in ran.err
    desk.must("registry", "import", desk.registry)
    assert desk.must("status", "--json").json == {"campaigns": []}


def test_what_nobody_foresaw_is_one_line_and_with_the_debug_switch_a_stack(desk: Desk) -> None:
    (desk.home).mkdir()
    (desk.home / "congvan.db").mkdir()
    plain = program("status")
    assert plain.returncode == 1
    assert "Traceback" not in plain.stderr
    assert plain.stderr.strip()
    assert "Traceback" in program("status", CONGVAN_DEBUG="1").stderr
