"""The demo's mail in the browser: listed, searched, opened, harmless."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path

import httpx
import pytest

from congvan.house import House
from congvan.mail.sinkstore import SinkStore
from congvan.portal.app import app
from congvan.portal.throttle import Allowance
from tests.conftest import once
from tests.portal.world import BASE

PDF = b"%PDF-1.7 the letter %%EOF"


def letter(number: int, *, subject: str = "", html: str = "<p style='color:red'>Kính gửi</p>") -> bytes:
    message = EmailMessage()
    message["From"] = "Ban Quản lý <congvan@bql.example>"
    message["To"] = f"Công ty {number} <vanthu@cong-ty-{number}.example>"
    message["Subject"] = subject or f"Công văn gửi đơn vị thứ {number}"
    message["Message-ID"] = f"<{number}@bql.example>"
    message.set_content(f"Đường dẫn: {BASE}/v/token-{number}\n")
    message.add_alternative(html, subtype="html")
    message.add_attachment(PDF, maintype="application", subtype="pdf", filename="01_công văn.pdf")
    return message.as_bytes(policy=message.policy.clone(linesep="\r\n"))


def _keep(folder: Path) -> None:
    store = SinkStore(folder)
    for number in range(1, 121):
        store.keep("congvan@bql.example", (f"vanthu@cong-ty-{number}.example",), letter(number))


@pytest.fixture(scope="session")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a sink has kept of 120 messages; copied for every test."""
    return once(tmp_path_factory, "taken", _keep)


@pytest.fixture
def folder(taken: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(taken, tmp_path / "mail"))


@pytest.fixture
async def mail(house: House, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    portal = app(house, mail_folder=folder, allowance=Allowance.unlimited())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=portal), base_url=BASE) as client:
        yield client


async def test_mail_is_listed_newest_first_page_by_page(mail: httpx.AsyncClient) -> None:
    page = await mail.get("/mail")
    assert "120 thư" in page.text
    assert page.text.index("thứ 120<") < page.text.index("thứ 119<")
    assert "thứ 70<" not in page.text
    assert "thứ 70<" in (await mail.get("/mail?page=2")).text
    assert "Không có thư nào." in (await mail.get("/mail?page=99")).text


async def test_mail_is_found_by_words_and_by_recipient(mail: httpx.AsyncClient) -> None:
    page = await mail.get("/mail", params={"q": "đơn vị thứ 17"})
    assert "1 thư" in page.text
    page = await mail.get("/mail", params={"to": "vanthu@cong-ty-30.example", "lang": "en"})
    assert "1 messages" in page.text
    assert "thứ 30<" in page.text


async def test_a_message_shows_headers_words_and_files_with_their_hashes(mail: httpx.AsyncClient, folder: Path) -> None:
    page = await mail.get("/mail/5")
    assert "&lt;5@bql.example&gt;" in page.text
    assert f'href="{BASE}/v/token-5"' in page.text
    assert hashlib.sha256(PDF).hexdigest() in page.text
    file = await mail.get("/mail/5/files/0/01.pdf")
    assert file.content == PDF
    assert file.headers["content-disposition"].startswith("attachment")
    source = await mail.get("/mail/5/source")
    assert source.headers["content-type"] == "message/rfc822"
    assert source.content == (folder / "000005.eml").read_bytes()


async def test_a_messages_html_runs_nothing_and_is_framed_by_us_only(house: House, folder: Path) -> None:
    SinkStore(folder).keep("a@b.example", ("c@d.example",), letter(121, html="<script>alert(1)</script><p>Chào</p>"))
    portal = app(house, mail_folder=folder)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=portal), base_url=BASE) as mail:
        page = await mail.get("/mail/121")
        assert "alert(1)" not in page.text
        assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in page.text
        html = await mail.get("/mail/121/html")
        policy = html.headers["content-security-policy"]
        assert "sandbox" in policy
        assert "script" not in policy
        assert "frame-ancestors 'self'" in policy
        assert html.headers["x-frame-options"] == "SAMEORIGIN"


@pytest.mark.parametrize(
    "path", ["/mail/0", "/mail/999", "/mail/-1", "/mail/x", "/mail/5/files/9/a", "/mail/../index.jsonl"]
)
async def test_what_is_not_there_gets_a_clear_page(mail: httpx.AsyncClient, path: str) -> None:
    assert (await mail.get(path)).status_code == 404


@pytest.mark.parametrize("page", ["0", "-3", "x", "9" * 40, "²", "٣"])
async def test_a_page_number_that_is_none_shows_a_page(mail: httpx.AsyncClient, page: str) -> None:
    assert (await mail.get("/mail", params={"page": page})).status_code == 200


async def test_without_a_sink_there_is_no_mail(web: httpx.AsyncClient) -> None:
    assert (await web.get("/mail")).status_code == 404
    assert "/mail" not in (await web.get("/")).text


async def test_the_start_page_leads_to_the_mail(mail: httpx.AsyncClient) -> None:
    assert 'href="/mail"' in (await mail.get("/")).text
