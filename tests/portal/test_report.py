"""The page draws the report's form from the plan, and takes nothing that does not fit it."""

from __future__ import annotations

import re
import threading

import httpx
import pytest
from sqlalchemy import select

from congvan.rules import uploads
from congvan.rules.uploads import Upload
from congvan.store.tables import EventRow, File
from tests.portal.files_sent import made_docx, marked_secret, protected
from tests.portal.test_recipient import WHO, chosen
from tests.portal.world import Desk, form_token

CAMPAIGN = "report_file"
PDF = b"%PDF-1.7\nplan\n%%EOF\n"
GOOD = {"q_drills": "2", "q_held": "05/12/2023", "q_about": "fire", "q_plan": "yes", "q_words": ""}


async def reported(
    web: httpx.AsyncClient, path: str, fields: dict[str, str], files: dict[str, tuple[str, bytes]] | None = None,
    lang: str = "vi",
) -> httpx.Response:
    """Confirm, fill the report, send it, follow to the page that answers."""
    token = form_token(await web.get(path))
    await web.post(f"{path}/confirm", data={"form_token": token, **WHO})
    data = {"form_token": token, **WHO, **fields}
    sent = files or {"q_file": ("", b"")}
    return await web.post(f"{path}/report?lang={lang}", data=data, files=sent, follow_redirects=True)


async def test_every_field_of_the_plan_has_its_place_in_the_form(web: httpx.AsyncClient, desk: Desk) -> None:
    path = desk.path(await desk.tenant())
    token = form_token(await web.get(path))
    page = await web.post(f"{path}/confirm", data={"form_token": token, **WHO}, follow_redirects=True)
    for title in ("Số cuộc diễn tập", "Ngày diễn tập gần nhất (nếu có)", "Tràn đổ", "Đã có phương án được duyệt"):
        assert title in page.text
    assert re.search(r'name="q_held" autocomplete="off" type="date" value="" max="2023-12-31"', page.text)
    assert page.text.count('type="radio" name="q_about"') == 2
    english = await web.get(f"{path}?lang=en")
    for title in ("Drills held", "Last drill on (optional)", "Fire", "Approved plan exists"):
        assert title in english.text


async def test_a_report_is_kept_with_its_file_and_shown_on_the_receipt(web: httpx.AsyncClient, desk: Desk) -> None:
    tenant = await desk.tenant()
    files = {"q_file": ("../phương án.pdf", PDF), "attached": ("thư.pdf", PDF + b"2%%EOF")}
    page = await reported(web, desk.path(tenant), GOOD, files)
    assert page.status_code == 200
    for shown in ("2 cuộc", "05/12/2023", "Cháy", "Có", "phương án.pdf", "thư.pdf"):
        assert shown in page.text, shown
    assert (await desk.delivery(tenant.recipient)).state == "COMPLETED"
    async with desk.house.store.view() as ledger:
        said = await ledger.first(
            select(EventRow.data).where(EventRow.stream == tenant.id, EventRow.kind == "completed")
        )
        kept = await ledger.get(File, said["answers"]["file"]["sha256"])
    assert kept.data == PDF
    assert said["answers"]["file"]["name"] == "phương án.pdf"
    assert [one["name"] for one in said["files"]] == ["thư.pdf"]


@pytest.mark.parametrize(
    ("fields", "files", "vi", "en"),
    [
        ({"q_drills": "101"}, {}, "Ghi một số từ 0 đến 100.", "Enter a number from 0 to 100."),
        ({"q_drills": ""}, {}, "Điền mục này.", "Fill in this field."),
        ({"q_held": "2024-01-01"}, {}, "Ghi một ngày không sau 31/12/2023.", "Enter a day not after 31 December 2023."),
        ({"q_about": "other"}, {}, "Chọn một trong các câu trả lời.", "Choose one of the answers."),
        ({"q_words": "x" * 201}, {}, "Ghi không quá 200 ký tự.", "Write at most 200 characters."),
        ({}, {"q_file": ("a.exe", b"MZ")}, "Chỉ nhận tệp PDF", "Only whole PDF"),
        ({}, {"attached": ("a.pdf", b"<script>alert(1)</script>")}, "Chỉ nhận tệp PDF", "Only whole PDF"),
    ],
)
async def test_what_does_not_fit_comes_back_in_both_languages_with_what_was_typed(
    web: httpx.AsyncClient, desk: Desk, fields: dict[str, str], files: dict[str, tuple[str, bytes]], vi: str, en: str
) -> None:
    tenant = await desk.tenant()
    for lang, message in (("vi", vi), ("en", en)):
        page = await reported(web, desk.path(tenant), GOOD | {"q_words": "Không có."} | fields, files, lang)
        assert page.status_code == 422
        assert message in page.text
        assert 'aria-invalid="true"' in page.text or "attached-fault" in page.text or "q_about-fault" in page.text
        assert WHO["name"] in page.text
        assert 'value="fire" required checked' in page.text or "q_about" in fields
    assert (await desk.delivery(tenant.recipient)).state == "ACKNOWLEDGED"


async def test_the_receipt_in_english_spells_its_days_out(web: httpx.AsyncClient, desk: Desk) -> None:
    page = await reported(web, desk.path(await desk.tenant()), GOOD, lang="en")
    assert "5 December 2023" in page.text
    assert "05/12/2023" not in page.text


@pytest.mark.parametrize("field", ["attached", "q_file"])
async def test_a_file_beside_a_report_is_not_lost_when_the_form_comes_back(
    web: httpx.AsyncClient, desk: Desk, field: str
) -> None:
    tenant = await desk.tenant()
    path = desk.path(tenant)
    page = await reported(web, path, GOOD | {"q_drills": "101"}, {field: ("phương án.pdf", PDF)})
    assert page.status_code == 422
    assert "Chọn lại tệp" in page.text
    sent = {"form_token": form_token(page), **WHO, **GOOD} | chosen(page)
    assert f"chosen_{field}" in sent
    again = await web.post(f"{path}/report", data=sent)
    assert again.status_code == 422
    assert "Chọn lại tệp" in again.text
    assert f"chosen_{field}" in chosen(again)
    assert (await desk.delivery(tenant.recipient)).state == "ACKNOWLEDGED"
    assert f'name="without_{field}"' in again.text
    given_up = await web.post(f"{path}/report", data=sent | {f"without_{field}": "yes"})
    assert given_up.status_code == 303


@pytest.mark.parametrize("name", ["a.pdf", "a.docx"])
@pytest.mark.parametrize("field", ["attached", "q_file"])
async def test_no_report_brings_a_file_that_is_marked_as_secret(
    web: httpx.AsyncClient, desk: Desk, field: str, name: str
) -> None:
    tenant = await desk.tenant()
    page = await reported(web, desk.path(tenant), GOOD, {field: (name, marked_secret(name))})
    assert page.status_code == 422
    assert "Tệp có dấu chỉ mức độ mật" in page.text
    assert (await desk.delivery(tenant.recipient)).state == "ACKNOWLEDGED"


async def test_no_report_brings_a_secret_file_that_is_protected(web: httpx.AsyncClient, desk: Desk) -> None:
    tenant = await desk.tenant()
    files = {"attached": ("a.pdf", protected(marked_secret("a.pdf")))}
    page = await reported(web, desk.path(tenant), GOOD, files)
    assert page.status_code == 422
    assert "Tệp có dấu chỉ mức độ mật" in page.text


async def test_each_file_is_looked_at_once_beside_the_loop_and_before_anything_is_locked(
    web: httpx.AsyncClient, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, bool, int]] = []
    look = uploads.fault_of

    def looked_at(file: Upload) -> str:
        if file.fault is None:
            main = threading.current_thread() is threading.main_thread()
            seen.append((file.name, main, desk.house.store.open_transactions))
        return look(file)

    monkeypatch.setattr(uploads, "fault_of", looked_at)
    files = {"q_file": ("phương án.pdf", PDF), "attached": ("bảng.xlsx", made_docx("x"))}
    page = await reported(web, desk.path(await desk.tenant()), GOOD, files)
    assert page.status_code == 422
    files["attached"] = ("thư.docx", made_docx("x"))
    page = await reported(web, desk.path(await desk.tenant()), GOOD, files)
    assert page.status_code == 200
    assert seen == [
        (name, False, 0) for name in ("phương án.pdf", "bảng.xlsx", "phương án.pdf", "thư.docx")
    ]  # fmt: skip


async def test_a_report_of_twenty_megabytes_is_refused_before_it_is_read(web: httpx.AsyncClient, desk: Desk) -> None:
    page = await reported(web, desk.path(await desk.tenant()), GOOD, {"attached": ("a.pdf", bytes(20_000_000))})
    assert page.status_code == 413
