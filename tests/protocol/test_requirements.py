"""What a report has to say: fields of a plan, answers to them, sums; refused with a word on what is wrong."""

from __future__ import annotations

import io
import zipfile
from datetime import date
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from congvan.acts import answers, campaigns, confirmations, launches, reporting
from congvan.acts.confirmations import Answer, AnswersWrong
from congvan.errors import BadInput
from congvan.reading import lines_of, read_cascade, read_plan
from congvan.rules import requirements, uploads
from congvan.rules.protocol import Event, State
from congvan.rules.records import CampaignPlan, Policy
from congvan.rules.requirements import Kind, Question
from congvan.rules.uploads import Upload, fault_of, upload
from congvan.store.tables import EventRow, File
from tests.conftest import ROOT, at
from tests.protocol.world import PLAN, Town

PDF = b"%PDF-1.7\nplan\n%%EOF\n"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)


def question(kind: str, **more: object) -> Question:
    return Question.model_validate({"key": "q", "title": "Câu hỏi", "kind": kind} | more)


CHOICES = [{"key": "a", "title": "Loại A"}, {"key": "b", "title": "Loại B"}]
QUESTIONS = (
    question("number", key="drills", title="Số cuộc diễn tập", unit="cuộc", min=0, max=100),
    question("number", key="trained", title="Số người được tập huấn", unit="người"),
    question("yes_no", key="plan", title="Có phương án"),
    question("choice", key="kind", title="Loại hình", choices=CHOICES),
    question("date", key="held", title="Ngày diễn tập", required=False, min="2023-01-01"),
    question("file", key="file", title="Phương án", required=False),
)
GOOD = {"drills": "2", "trained": "1.250", "plan": "yes", "kind": "a", "held": "05/12/2023"}


# ------------------------------------------------------------------------------------ one field


@pytest.mark.parametrize(
    ("one", "said", "value"),
    [
        (question("number"), " 25 ", 25),
        (question("number"), "1.250", 1250),
        (question("number"), "1,250,000", 1_250_000),
        (question("number", min=-5), "-3", -3),
        (question("date"), "2024-02-29", "2024-02-29"),
        (question("date"), "9/1/2024", "2024-01-09"),
        (question("text"), "Đã\r\nxong", "Đã\nxong"),
        (question("choice", choices=CHOICES), "b", "b"),
        (question("yes_no"), "no", False),
    ],
)
def test_an_answer_is_read_as_it_was_meant(one: Question, said: str, value: object) -> None:
    read = requirements.read([one], {"q": said}, {})
    assert (dict(read.answers), dict(read.wrong)) == ({"q": value}, {})


@pytest.mark.parametrize(
    ("one", "said", "code"),
    [
        (question("number"), "", "need_answer"),
        (question("number"), "nhiều", "not_whole"),
        (question("number"), "2,5", "not_whole"),
        (question("number"), "1e3", "not_whole"),
        (question("number"), "٣", "not_whole"),
        (question("number", min=0, max=9), "10", "number_between"),
        (question("number", min=1), "0", "number_least"),
        (question("number", max=9), "10", "number_most"),
        (question("date"), "30/02/2024", "not_date"),
        (question("date", min="2024-01-01"), "31/12/2023", "date_least"),
        (question("date", max="2024-01-01"), "02/01/2024", "date_most"),
        (question("text", max=3), "bốn chữ", "text_longest"),
        (question("text"), "\u200b\u0000", "need_answer"),
        (question("choice", choices=CHOICES), "c", "need_choice"),
        (question("yes_no"), "maybe", "need_choice"),
        (question("file"), "x.pdf", "need_file"),
    ],
)
def test_what_cannot_be_right_is_told_by_the_name_of_its_message(one: Question, said: str, code: str) -> None:
    read = requirements.read([one], {"q": said}, {})
    assert [wrong.code for wrong in read.wrong.values()] == [code]
    assert dict(read.answers) == {}
    words = yaml.safe_load((ROOT / "templates" / "portal" / "words.yaml").read_text("utf-8"))
    for text in words[code].values():
        assert text.format(**read.wrong["q"].values)


def test_what_is_not_required_may_be_left_out_and_what_was_not_asked_is_not_kept() -> None:
    sent = {"q": " ", "other": "7"}
    read = requirements.read([question("number", required=False)], sent, {"z": Upload("a.pdf", PDF)})
    assert (dict(read.answers), dict(read.wrong), dict(read.files)) == ({}, {}, {})


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "choice"},
        {"kind": "number", "choices": CHOICES},
        {"kind": "choice", "choices": [CHOICES[0], CHOICES[0]]},
        {"kind": "choice", "choices": CHOICES[:1]},
        {"kind": "yes_no", "min": 1},
        {"kind": "number", "min": 5, "max": 4},
        {"kind": "number", "min": "2024-01-01"},
        {"kind": "date", "max": 5},
        {"kind": "text", "max": 0},
        {"kind": "text", "max": 9_999},
        {"kind": "file", "min": 1},
        {"kind": "number", "key": "no spaces"},
        {"kind": "colour"},
    ],
)
def test_a_question_that_no_answer_fits_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        question(**wrong)  # type: ignore[arg-type]


@given(st.text(max_size=40), st.sampled_from(list(Kind)))
def test_whatever_is_typed_is_an_answer_or_a_word_on_what_is_wrong(text: str, kind: Kind) -> None:
    one = question(kind.value, **({"choices": CHOICES} if kind is Kind.CHOICE else {}))
    read = requirements.read([one], {"q": text}, {})
    assert len(read.answers) + len(read.wrong) == 1
    for value in read.answers.values():
        assert requirements.shown(one, value)


@given(st.lists(st.integers(-(10**9), 10**9)))
def test_the_sum_of_the_whole_is_the_sum_of_its_parts(numbers: list[int]) -> None:
    total = requirements.roll_up([question("number")], [{"q": number} for number in numbers])["q"]
    assert (total.sum, total.given) == (sum(numbers), len(numbers))


# ------------------------------------------------------------------------------------ files


def _zip(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "fault"),
    [
        ("kế hoạch.pdf", PDF, ""),
        ("ảnh.PNG", PNG, ""),
        ("ảnh.jpg", b"\xff\xd8\xff\xe0", ""),
        ("bảng.xlsx", _zip("xl/workbook.xml"), ""),
        ("văn bản.docx", _zip("word/document.xml"), ""),
        ("rỗng.pdf", b"", "file_empty"),
        ("chạy.exe", b"MZ", "file_kind"),
        ("trang.html", b"<script>", "file_kind"),
        ("trang.pdf", b"<script>", "file_kind"),
        ("đứt.pdf", b"%PDF-1.7\nhalf", "file_kind"),
        ("bảng.xlsx", _zip("word/document.xml"), "file_kind"),
        ("bảng.xlsx", _zip("xl/workbook.xml", "xl/vbaProject.bin"), "file_kind"),
        ("bảng.xlsx", PDF, "file_kind"),
        ("bảng.xlsx", _zip("xl/workbook.xml", *map(str, range(5_000))), "file_kind"),
        ("pdf", PDF, "file_kind"),
        ("to.pdf", b"%PDF-" + bytes(uploads.LARGEST_BYTES), "file_too_large"),
    ],
    ids=lambda one: f"{len(one)} bytes" if isinstance(one, bytes) else None,
)
def test_a_file_is_what_its_own_bytes_say(name: str, data: bytes, fault: str) -> None:
    assert fault_of(upload(name, data)) == fault


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd.pdf", "passwd.pdf"),
        ("C:\\Users\\a\\kế hoạch.pdf", "kế hoạch.pdf"),
        ("a\u202efdp.exe.pdf", "afdp.exe.pdf"),
        ('x"><script>.pdf', "xscript.pdf"),
        ("a" * 300 + ".pdf", "a" * 117 + ".pdf"),
        ("...", ""),
    ],
)
def test_a_files_name_is_made_safe(sent: str, kept: str) -> None:
    assert upload(sent, PDF).name == kept


# ------------------------------------------------------------------------------------ a plan


def _plan_file(folder: Path, more: str) -> Path:
    path = folder / "plan.yaml"
    path.write_text((ROOT / "config" / "campaigns" / "8184.yaml").read_text("utf-8") + more, "utf-8")
    return path


WRONG = """
questions:
  tenant:
    - {key: drills, title: Số cuộc diễn tập, kind: number, min: 5, max: 1}
"""
NOT_ASKED = """
questions:
  tenant:
    - {key: drills, title: Số cuộc diễn tập, kind: number}
    - {key: drills, title: Lần nữa, kind: number}
  nobody:
    - {key: drills, title: Số cuộc diễn tập, kind: number}
"""


def test_a_wrong_field_is_refused_with_its_line(tmp_path: Path) -> None:
    path = _plan_file(tmp_path, WRONG)
    with pytest.raises(BadInput) as refused:
        read_plan(path)
    (fault,) = refused.value.faults
    assert fault.row is not None
    assert "drills" in path.read_text("utf-8").splitlines()[fault.row - 1]
    assert "min lớn hơn max" in fault.message


async def test_fields_that_nobody_would_fill_keep_a_plan_from_being_launched(town: Town, tmp_path: Path) -> None:
    path = _plan_file(tmp_path, NOT_ASKED)
    await town.launch(folder=ROOT / "config" / "campaigns")
    order = launches.Launch(
        read_plan(path)[0].model_copy(update={"code": "khac"}), read_cascade(ROOT / "config" / "cascade.yaml"),
        "exercise", "A", ROOT / "config" / "campaigns", str(path), lines_of(path),
    )  # fmt: skip
    with pytest.raises(BadInput) as refused:
        await launches.launch(town.house, order)
    told = {fault.field: fault.row for fault in refused.value.faults}
    lines = path.read_text("utf-8").splitlines()
    assert set(told) == {"questions", "questions.tenant", "questions.tenant[2].key"}
    row = told["questions.tenant[2].key"]
    assert row is not None
    assert "Lần nữa" in lines[row - 1]


@pytest.mark.parametrize(
    ("kind", "most"), [("file", requirements.MOST_FILES), ("number", requirements.MOST_QUESTIONS)]
)
async def test_no_plan_asks_for_more_than_a_form_takes(town: Town, kind: str, most: int) -> None:
    fields = [{"key": f"f{n}", "title": f"Mục {n}", "kind": kind} for n in range(most + 1)]
    asked = [Question.model_validate(one) for one in fields]
    with pytest.raises(BadInput) as refused:
        await town.launch(asking().model_copy(update={"questions": {"tenant": tuple(asked)}}))
    assert [fault.field for fault in refused.value.faults] == ["questions.tenant"]
    await town.launch(asking().model_copy(update={"questions": {"tenant": tuple(asked[:most])}}))


# ------------------------------------------------------------------------------------ a campaign that asks for figures


def asking() -> CampaignPlan:
    """The letter of the demo, with a report of every tenant."""
    policies = {**PLAN.policies, "tenant": Policy.model_validate({"settles": "complete"})}
    return PLAN.model_copy(update={"policies": policies, "questions": {"tenant": QUESTIONS}})


async def _opened(town: Town) -> Town:
    await town.launch(asking())
    await town.work()
    await town.say("BQL")
    await town.work()
    await town.pass_on("INV-A")
    await town.pass_on("INV-B")
    await town.work()
    return town


async def test_receipt_alone_leaves_the_report_owed(town: Town) -> None:
    await _opened(town)
    await town.say("T1")
    assert (await town.delivery("T1")).settled_at is None
    await town.until("2023-12-08", "08:00")
    assert "08/12 08:00 T1 reminder" in await town.diary("reminder", to=("T1",)), "who owes a report is reminded"


async def test_a_report_is_recorded_with_its_fields_and_files(town: Town) -> None:
    await _opened(town)
    receipt = await town.say(
        "T1", Event.COMPLETED, fields=GOOD, files={"file": upload("phương án.pdf", PDF)},
        attached=[upload("ảnh.png", PNG)], data={"report": "Đã xong."},
    )  # fmt: skip
    assert receipt.state is State.COMPLETED
    row = await town.delivery("T1")
    (said,) = await town.all(EventRow, EventRow.stream == row.id, EventRow.kind == "completed")
    assert said.data["report"] == "Đã xong."
    file = said.data["answers"].pop("file")
    assert said.data["answers"] == {"drills": 2, "trained": 1250, "plan": True, "kind": "a", "held": "2023-12-05"}
    assert (file["name"], file["size"], file["media_type"]) == ("phương án.pdf", len(PDF), "application/pdf")
    assert [one["name"] for one in said.data["files"]] == ["ảnh.png"]
    async with town.house.store.view() as ledger:
        assert await ledger.file(file["sha256"]) == PDF


async def test_a_report_with_anything_missing_or_wrong_is_refused_whole(town: Town) -> None:
    await _opened(town)
    before = len(await town.all(File))
    bad, files = GOOD | {"drills": "101", "plan": ""}, {"file": upload("x.exe", b"MZ")}
    with pytest.raises(AnswersWrong) as refused:
        await town.say("T1", Event.COMPLETED, fields=bad, files=files, attached=[upload("a", b"")])
    assert {key: wrong.code for key, wrong in refused.value.wrong.items()} == {
        "drills": "number_between", "plan": "need_choice", "file": "file_kind", "attached-1": "file_empty",
    }  # fmt: skip
    assert (await town.delivery("T1")).state == State.SENT
    assert len(await town.all(File)) == before


async def test_a_report_by_telephone_has_to_answer_the_same_questions(town: Town) -> None:
    await _opened(town)
    row = await town.delivery("T2")
    with pytest.raises(AnswersWrong):
        await confirmations.answer(town.house, row.id, Answer(Event.COMPLETED, channel="phone", actor="QHXD"))
    said = Answer(Event.COMPLETED, channel="phone", actor="QHXD", fields=GOOD)
    assert (await confirmations.answer(town.house, row.id, said)).state is State.COMPLETED


async def test_figures_are_summed_by_park_and_as_a_whole_and_stand_in_the_report(town: Town) -> None:
    await _opened(town)
    for code, drills, plan, kind in (("T1", "2", "yes", "a"), ("T2", "3", "no", "a"), ("T3", "5", "yes", "b")):
        await town.say(code, Event.COMPLETED, fields=GOOD | {"drills": drills, "plan": plan, "kind": kind})
    async with town.house.store.view() as ledger:
        campaign = await campaigns.find(ledger, town.campaign)
        (level,) = await answers.rolled(ledger, campaign)
        sheet = await reporting.report_sheet(town.house, ledger, campaign, at("2023-12-05"), interim=True)
    assert (level["asked"], level["reported"]) == (6, 3)
    assert level["totals"]["drills"]["sum"] == 10
    assert level["totals"]["plan"]["counts"] == {"yes": 2, "no": 1}
    assert level["totals"]["kind"]["counts"] == {"a": 2, "b": 1}
    assert {part["name"]: part["totals"]["drills"]["sum"] for part in level["parks"]} == {
        "KCN Một": 5, "KCN Hai": 5, "": 0,
    }  # fmt: skip
    assert sum(part["asked"] for part in level["parks"]) == level["asked"]
    assert ["Số cuộc diễn tập", "cuộc", 10] in sheet.context["tables"][-1]["rows"]
    text = town.house.press.render(sheet).text
    assert "Số cuộc diễn tập" in text


def test_a_date_bound_is_a_date_and_a_number_bound_a_number() -> None:
    assert question("date", min="2024-01-01").min == date(2024, 1, 1)
    assert question("number", min="0").min == 0
