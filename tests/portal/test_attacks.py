"""Every attack on a link leaves no trace in the data and gets one clear page."""

from __future__ import annotations

import asyncio
import base64
import logging
import random
import re
import threading
import unicodedata
from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from itsdangerous import URLSafeSerializer

from congvan.acts import deliveries, passing_on
from congvan.errors import BadInput, LinkInvalid
from congvan.house import House
from congvan.letters import upload
from congvan.links import Link
from congvan.portal.app import app
from congvan.portal.guard import LARGEST_FORM_BYTES, LARGEST_UPLOAD_BYTES, Forms, canonical, redacted
from congvan.portal.throttle import Allowance
from congvan.rules import requirements, uploads
from congvan.rules.requirements import Question
from congvan.store.tables import OrganisationRow
from tests.portal.world import BASE, KEY, START, Desk, build_house, form_token

WHO = {"name": "Kẻ lạ", "position": "Không rõ"}
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


async def refused(web: httpx.AsyncClient, desk: Desk, token: str, *statuses: int) -> None:
    """No page, no file, no act behind this token."""
    before = await desk.trace()
    statuses = statuses or (404,)
    data = {"form_token": Forms([KEY], BASE).token(token), "reason": "x", **WHO}
    for path in ("", "/below"):
        assert (await web.get(f"/v/{token}{path}")).status_code in statuses
    for path in ("/confirm", "/reject", "/pass-on", "/contact", "/report"):
        assert (await web.post(f"/v/{token}{path}", data=data)).status_code in statuses
    assert await desk.trace() == before


# ---------------------------------------------------------------------------- tokens


async def test_a_token_with_any_one_character_changed_opens_nothing(web: httpx.AsyncClient, desk: Desk) -> None:
    token = desk.token(await desk.tenant())
    before = await desk.trace()
    answers = set()
    for at in range(len(token)):
        for other in {_ALPHABET[(_ALPHABET.find(token[at]) + step) % 64] for step in (1, 2, 3, 32)} | {"."}:
            if other != token[at]:
                page = await web.get(f"/v/{token[:at]}{other}{token[at + 1 :]}")
                answers.add((page.status_code, page.text))
    assert {status for status, _text in answers} == {404}
    assert len(answers) == 1
    assert await desk.trace() == before


async def test_every_kind_of_wrong_token_gets_one_and_the_same_page(web: httpx.AsyncClient, desk: Desk) -> None:
    tenant = await desk.tenant()
    token = desk.token(tenant)
    ours = URLSafeSerializer(KEY, salt="congvan-link-1")
    ghost = Link("0" * 32, "answer", 1, START + timedelta(days=9))
    wrong = {
        "cut": token[:-5],
        "longer": token + "A",
        "padded": token + "=",
        "foreign purpose": desk.token(tenant, purpose="issue"),
        "no such delivery": desk.house.links.token(ghost),
        "other key": URLSafeSerializer("other", salt="congvan-link-1").dumps([tenant.id, "answer", 1, 2_000_000_000]),
        "other salt": URLSafeSerializer(KEY, salt="itsdangerous").dumps([tenant.id, "answer", 1, 2_000_000_000]),
        "unsigned": base64.urlsafe_b64encode(f'["{tenant.id}","answer",1,2000000000]'.encode()).decode(),
        "delivery id": tenant.id,
        "code": tenant.code,
        "nothing signed": ".",
        "unicode": "ｖấn-đề",
        "overlong": "A" * 5000,
        "sql": "' OR 1=1 --",
        "nul": "\x00",
        "compressed bomb": ".eJ" + "A" * 150,
        "json of another shape": ours.dumps({"a": 1}),
        "version as text": ours.dumps([tenant.id, "answer", "x", 2_000_000_000]),
        "expiry beyond time": ours.dumps([tenant.id, "answer", 1, 10**30]),
    }
    before = await desk.trace()
    seen = {}
    for name, bad in wrong.items():
        page = await web.get(httpx.URL(BASE).copy_with(raw_path=b"/v/" + _quoted(bad)))
        seen[name] = (page.status_code, page.text)
    assert {status for status, _ in seen.values()} == {404}
    assert len({text for _, text in seen.values()}) == 1
    assert await desk.trace() == before


def _quoted(token: str) -> bytes:
    from urllib.parse import quote

    return quote(token, safe="").encode()


async def test_an_enormous_token_is_refused_quickly(web: httpx.AsyncClient) -> None:
    page = await web.get("/v/" + "A" * 60_000)
    assert page.status_code == 404


async def test_an_expired_link_opens_nothing(web: httpx.AsyncClient, desk: Desk) -> None:
    token = desk.token(await desk.tenant(), days=5)
    assert (await web.get(f"/v/{token}")).status_code == 200
    desk.clock.forward(days=6)
    await refused(web, desk, token, 410)


async def test_a_clock_set_back_does_not_lock_anybody_out(web: httpx.AsyncClient, desk: Desk) -> None:
    token = desk.token(await desk.tenant())
    desk.clock.forward(hours=-30)
    assert (await web.get(f"/v/{token}")).status_code == 200


async def test_a_revoked_link_opens_nothing_and_the_new_one_does(web: httpx.AsyncClient, desk: Desk) -> None:
    tenant = await desk.tenant()
    old = desk.token(tenant)
    token = form_token(await web.get(f"/v/{old}"))
    await deliveries.resend(desk.house, tenant.id, "Hoa", address="moi@cong-ty.example", why="đổi hộp thư")
    await refused(web, desk, old, 410)
    again = await web.post(f"/v/{old}/confirm", data={"form_token": token, **WHO})
    assert again.status_code == 410
    assert (await web.get(f"/v/{desk.token(await desk.delivery(tenant.recipient))}")).status_code == 200


async def test_a_token_of_a_later_or_earlier_version_opens_nothing(web: httpx.AsyncClient, desk: Desk) -> None:
    tenant = await desk.tenant()
    for version in (0, 2, -1):
        await refused(web, desk, desk.token(tenant, version=version), 410)


async def test_a_hundred_answers_at_once_are_one_answer(web: httpx.AsyncClient, desk: Desk) -> None:
    tenant = await desk.tenant()
    path = desk.path(tenant)
    token = form_token(await web.get(path))
    sent = [web.post(f"{path}/confirm", data={"form_token": token, **WHO}) for _ in range(100)]
    assert {page.status_code for page in await asyncio.gather(*sent)} == {303}
    assert (await desk.events(tenant.id)).count("acknowledged") == 1


async def test_old_links_live_on_after_the_key_was_rotated(campaign_file: Path, house: House, desk: Desk) -> None:
    old = desk.token(await desk.tenant())
    rotated = build_house(str(house.store.url), house.settings.home, keys=("a-new-key", KEY))
    transport = httpx.ASGITransport(app=app(rotated))
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as web:
        page = await web.get(f"/v/{old}")
        assert page.status_code == 200
        sent = await web.post(f"/v/{old}/confirm", data={"form_token": form_token(page), **WHO})
        assert sent.status_code == 303
    await rotated.store.close()


async def test_random_tokens_never_hit(house: House) -> None:
    chance = random.Random(7)
    for _ in range(20_000):
        token = "".join(chance.choices(_ALPHABET, k=90)) + "." + "".join(chance.choices(_ALPHABET, k=27))
        with pytest.raises(LinkInvalid):
            house.links.read(canonical(token), "answer", START)


async def test_whoever_leaks_the_database_holds_no_link(house: House, desk: Desk) -> None:
    token = desk.token(await desk.tenant())
    await house.store.close()
    data = b"".join(path.read_bytes() for path in house.settings.home.glob("congvan.db*"))
    assert token.encode() not in data
    assert token.rpartition(".")[2].encode() not in data


# ---------------------------------------------------------------------------- requests


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE"])
@pytest.mark.parametrize("path", ["", "/confirm", "/reject", "/pass-on", "/contact", "/report"])
async def test_only_a_post_acts(web: httpx.AsyncClient, desk: Desk, method: str, path: str) -> None:
    tenant = await desk.tenant()
    before = await desk.trace()
    headers = {"X-HTTP-Method-Override": "POST", "X-Method-Override": "POST"}
    at = f"{desk.path(tenant)}{path}?_method=POST&name=a&position=b"
    sent = await web.request(method, at, headers=headers)
    assert sent.status_code == (200 if path == "" and method in ("GET", "HEAD") else 405)
    assert await desk.trace() == before


async def test_a_post_is_not_turned_into_anything_else(web: httpx.AsyncClient, desk: Desk) -> None:
    tenant = await desk.tenant()
    sent = await web.post(desk.path(tenant), data={"_method": "DELETE"})
    assert sent.status_code == 405


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "null", "Sec-Fetch-Site": "same-site"},
        {"Origin": BASE + ".evil.example", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "https://127.0.0.1:4280"},
    ],
)
async def test_another_sites_form_is_refused(web: httpx.AsyncClient, desk: Desk, headers: dict[str, str]) -> None:
    path = desk.path(await desk.tenant())
    token = form_token(await web.get(path))
    before = await desk.trace()
    sent = await web.post(f"{path}/confirm", data={"form_token": token, **WHO}, headers=headers)
    assert sent.status_code == 403
    assert await desk.trace() == before


@pytest.mark.parametrize("headers", [{}, {"Origin": BASE}, {"Origin": "null", "Sec-Fetch-Site": "same-origin"}])
async def test_our_own_form_is_taken(web: httpx.AsyncClient, desk: Desk, headers: dict[str, str]) -> None:
    path = desk.path(await desk.tenant())
    token = form_token(await web.get(path))
    sent = await web.post(f"{path}/confirm", data={"form_token": token, **WHO}, headers=headers)
    assert sent.status_code == 303


async def test_a_form_of_another_link_or_of_none_is_refused(web: httpx.AsyncClient, desk: Desk) -> None:
    mine, other = await desk.tenant(), await desk.delivery("CDT-VSIP")
    foreign = form_token(await web.get(desk.path(other)))
    before = await desk.trace()
    for token in (foreign, "", "x", foreign[:-1], "A" * 5000):
        sent = await web.post(f"{desk.path(mine)}/confirm", data={"form_token": token, **WHO})
        assert sent.status_code == 403
    assert await desk.trace() == before


async def test_the_host_header_never_reaches_a_page(web: httpx.AsyncClient, desk: Desk) -> None:
    path = desk.path(await desk.tenant())
    headers = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    page = await web.get(path, headers=headers)
    assert "evil.example" not in page.text
    sent = await web.post(f"{path}/confirm", data={"form_token": form_token(page), **WHO}, headers=headers)
    assert sent.headers["location"].startswith("/v/")
    for at in (path + "/", "/status/", "//evil.example/v/x"):
        assert (await web.get(at, headers=headers)).status_code == 404


@pytest.mark.parametrize("lang", ["//evil.example", "https://evil.example", "en\r\nSet-Cookie: a=b", "../en", "xx"])
async def test_no_redirect_leaves_the_portal(web: httpx.AsyncClient, desk: Desk, lang: str) -> None:
    path = desk.path(await desk.tenant())
    token = form_token(await web.get(path))
    query = {"lang": lang, "next": "https://evil.example", "done": "//evil.example"}
    sent = await web.post(f"{path}/confirm", params=query, data={"form_token": token, **WHO})
    assert sent.headers["location"] == f"{path}?done=confirm"
    assert "set-cookie" not in sent.headers


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/congvan.db", "....//", "a\x00.pdf", "C:\\secret"],
)
async def test_no_path_leads_out_of_the_files_of_a_delivery(web: httpx.AsyncClient, desk: Desk, name: str) -> None:
    path = desk.path(await desk.tenant())
    for at in (f"{path}/files/{name}", f"{path}/files/{'0' * 64}/{name}", f"{path}/files/x/{name}", f"/static/{name}"):
        raw = at.encode("ascii", "replace").replace(b"\x00", b"%00").replace(b"\\", b"%5C")
        page = await web.get(httpx.URL(BASE).copy_with(raw_path=raw))
        assert page.status_code == 404


async def test_large_bodies_are_cut_off(web: httpx.AsyncClient, desk: Desk) -> None:
    path, investor = desk.path(await desk.tenant()), desk.path(await desk.delivery("CDT-VSIP"))
    token = form_token(await web.get(path))
    before = await desk.trace()
    data = {"form_token": token, "name": "a" * (LARGEST_FORM_BYTES + 1), "position": "b"}
    assert (await web.post(f"{path}/confirm", data=data)).status_code == 413

    async def without_length():  # type: ignore[no-untyped-def]
        for _ in range(10):
            yield b"name=" + b"a" * (LARGEST_FORM_BYTES // 4)

    form = {"content-type": "application/x-www-form-urlencoded"}
    assert (await web.post(f"{path}/confirm", content=without_length(), headers=form)).status_code == 413
    lie = {**form, "content-length": "99999999999999"}
    assert (await web.post(f"{path}/confirm", content=b"name=a", headers=lie)).status_code == 413
    big = {"own_pdf": ("a.pdf", b"%PDF-" + b"0" * LARGEST_UPLOAD_BYTES + b"%%EOF", "application/pdf")}
    fields = {"form_token": form_token(await web.get(investor)), **WHO}
    assert (await web.post(f"{investor}/pass-on", data=fields, files=big)).status_code == 413
    assert await desk.trace() == before


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"&&&=%%%zz&name=%ff%fe", "application/x-www-form-urlencoded"),
        (b"--x\r\nnot a part", "multipart/form-data; boundary=x"),
        (b"whatever", "multipart/form-data"),
        (b'{"name": "a"}', "application/json"),
        (b"\x00" * 100, "application/octet-stream"),
        (b"&".join(b"a%d=1" % n for n in range(2000)), "application/x-www-form-urlencoded"),
    ],
)
async def test_broken_bodies_are_refused_without_a_trace(
    web: httpx.AsyncClient, desk: Desk, content: bytes, kind: str
) -> None:
    path = desk.path(await desk.tenant())
    before = await desk.trace()
    sent = await web.post(f"{path}/confirm", content=content, headers={"content-type": kind})
    assert sent.status_code in (400, 403)
    assert await desk.trace() == before


async def test_files_in_a_form_without_files_are_refused(web: httpx.AsyncClient, desk: Desk) -> None:
    path = desk.path(await desk.tenant())
    fields = {"form_token": form_token(await web.get(path)), **WHO}
    sent = await web.post(f"{path}/confirm", data=fields, files={"name": ("a.pdf", b"%PDF-", "application/pdf")})
    assert sent.status_code == 400


# ---------------------------------------------------------------------------- what is written into pages

QUESTION = Question.model_validate({"key": "words", "title": "Khó khăn", "kind": "text"})


def _typed(text: str) -> object:
    return requirements.read([QUESTION], {"words": text}, {})


SCRIPT = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


async def test_a_script_in_any_field_is_shown_as_text(web: httpx.AsyncClient, desk: Desk) -> None:
    tenant = await desk.tenant()
    path = desk.path(tenant)
    token = form_token(await web.get(path))
    data = {"form_token": token, "name": SCRIPT[:100], "position": SCRIPT[:100], "reason": SCRIPT, "email": SCRIPT}
    for form in ("contact", "reject"):
        page = await web.post(f"{path}/{form}", data=data, follow_redirects=True)
        assert "<script" not in page.text
        assert "<img src=x" not in page.text
    assert "&lt;script&gt;alert(1)" in page.text


async def test_a_script_in_an_organisations_name_is_shown_as_text(
    web: httpx.AsyncClient, desk: Desk, house: House
) -> None:
    from congvan.store.tables import Delivery

    tenant = await desk.tenant()
    async with house.store.act() as ledger:
        await ledger.change(Delivery, Delivery.id == tenant.id, name=SCRIPT)
        row = await ledger.get(OrganisationRow, "QHXD")
        record = {**row.record, "name": SCRIPT}
        await ledger.change(OrganisationRow, OrganisationRow.code == "QHXD", record=record)
    page = await web.get(desk.path(tenant))
    assert page.status_code == 200
    assert "<script" not in page.text
    assert "<img src=x" not in page.text


async def test_a_line_end_in_a_file_name_ends_no_header(web: httpx.AsyncClient, desk: Desk) -> None:
    from congvan.portal.files import disposition

    header = disposition('a"\r\nSet-Cookie: x=y/../công văn.pdf', inline=True)
    assert "\r" not in header
    assert "\n" not in header
    assert "/" not in header.partition(";")[2]
    assert header.isascii()


MARKS = "\u0301" * 4_000 + "\u0327" * 4_000


@pytest.mark.parametrize(
    ("form", "fields", "files"),
    [
        ("confirm", {"name": MARKS}, {}),
        ("pass-on", {"number": MARKS}, {"own_pdf": ("a.pdf", b"x")}),
        ("by-hand", {"e_" + "0" * 32: MARKS}, {"own_pdf": ("a.pdf", b"x")}),
        ("contact", {"note": "a" + MARKS}, {}),
    ],
)
async def test_marks_without_end_are_not_put_in_order(
    web: httpx.AsyncClient, desk: Desk, monkeypatch: pytest.MonkeyPatch,
    form: str, fields: dict[str, str], files: dict[str, tuple[str, bytes]],
) -> None:
    """That takes time by the square of their number, and nobody else could answer meanwhile."""
    path = desk.path(await desk.delivery("CDT-VSIP"))
    token = form_token(await web.get(path))
    seen = watched(monkeypatch)
    sent = await web.post(f"{path}/{form}", data={"form_token": token, **fields}, files=files or None)
    assert sent.status_code == 422
    assert 0 < most_marks(seen) <= 30


@pytest.mark.parametrize("read", [lambda text: uploads.upload(text + ".pdf", b""), _typed])
def test_marks_without_end_are_not_put_in_order_in_names_of_files_and_in_reports(
    monkeypatch: pytest.MonkeyPatch, read: Callable[[str], object]
) -> None:
    seen = watched(monkeypatch)
    read(MARKS)
    assert 0 < most_marks(seen) <= 30


def watched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every text that is normalised from now on."""
    seen: list[str] = []
    normalize = unicodedata.normalize

    def looked_at(form: str, text: str) -> str:
        seen.append(text)
        return normalize(form, text)

    monkeypatch.setattr(unicodedata, "normalize", looked_at)
    return seen


def most_marks(texts: list[str]) -> int:
    """Combining marks in a row, at most."""
    return max((len(run) for text in texts for run in re.findall("[\u0301\u0327]+", text)), default=0)


# ---------------------------------------------------------------------------- headers, logs, limits


@pytest.mark.parametrize("path", ["/", "/status", "/v/x", "/nowhere", "/static/style.css", "/mail"])
async def test_every_answer_carries_the_headers_that_keep_browsers_strict(web: httpx.AsyncClient, path: str) -> None:
    headers = (await web.get(path)).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self'" in policy
    assert "unsafe" not in policy
    assert "script" not in policy
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in headers
    assert "strict-transport-security" not in headers
    if path != "/static/style.css":
        assert headers["cache-control"] == "no-store"


async def test_on_tls_browsers_are_told_to_stay_there(house: House, campaign_file: Path) -> None:
    safe = build_house(str(house.store.url), house.settings.home, portal_url="https://xacnhan.example/cv")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app(safe)), base_url=BASE) as web:
        page = await web.get("/")
        assert page.headers["strict-transport-security"].startswith("max-age=31536000")
        assert 'href="/cv/office"' in page.text
    await safe.store.close()


async def test_pages_hold_no_script_no_inline_style_and_nothing_from_elsewhere(
    web: httpx.AsyncClient, desk: Desk
) -> None:
    for delivery in (await desk.tenant(), await desk.delivery("CDT-VSIP"), await desk.delivery("BQL")):
        text = (await web.get(desk.path(delivery))).text
        assert "<script" not in text
        assert not re.search(r"\sstyle=|\son\w+=|javascript:", text)
        assert not re.search(r'(?:src|href|action)="(?:https?:)?//', text)


async def test_no_token_and_no_address_stands_in_the_log(
    web: httpx.AsyncClient, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="congvan")
    tenant = await desk.tenant()
    token = desk.token(tenant)
    page = await web.get(f"/v/{token}?lang=en")
    await web.post(f"/v/{token}/confirm", data={"form_token": form_token(page), **WHO})
    await web.get("/v/%0aForged%20line")
    said = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("congvan"))
    assert "GET /v/… 200" in said
    assert "POST /v/…/confirm 303" in said
    for secret in (token, token[:20], "127.0.0.1", WHO["name"], "Forged"):
        assert secret not in said


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/v/{token}", "/v/…"),
        ("/v/{token}/confirm", "/v/…/confirm"),
        ("/v//{token}", "/v/…"),
        ("/v///{token}/reject", "/v/…/reject"),
        ("/V/{token}", "/v/…"),
        ("/v/x/{token}", "/v/…/…"),
        ("/x/v/{token}/below", "/x/v/…/below"),
        ("/office\x1b[2J/\x7f\u2028c", "/office[2J/c"),
        ("/office/c/8184", "/office/c/8184"),
    ],
)
def test_a_line_of_the_log_holds_no_token_and_nothing_that_a_terminal_obeys(path: str, said: str) -> None:
    assert redacted(path.format(token="WyJhIiwxXQ.b3J0ZGllc2lzdGVpbmVzaWduYXR1cg")) == said


@pytest.mark.parametrize(("path", "leads_to"), [("/v/x?lang=vi", "?lang=en"), ("/nowhere", "?lang=en")])
async def test_a_page_of_what_is_wrong_is_there_in_the_other_language(
    web: httpx.AsyncClient, path: str, leads_to: str
) -> None:
    page = await web.get(path)
    link = re.search(r'class="language" href="([^"]+)"', page.text)
    assert link is not None
    assert link[1] == leads_to
    english = await web.get(str(page.url.join(leads_to)))
    assert english.status_code == page.status_code
    assert '<html lang="en">' in english.text


async def test_what_could_not_be_sent_leads_back_to_its_own_page_in_the_other_language(
    web: httpx.AsyncClient, desk: Desk
) -> None:
    path = desk.path(await desk.tenant())
    page = await web.post(f"{path}/confirm", data={"form_token": "x"})
    assert page.status_code == 403
    assert f'class="language" href="{path}?lang=en"' in page.text


def limited(house: House, **allowed: str) -> httpx.AsyncClient:
    much = asdict(Allowance.unlimited())
    transport = httpx.ASGITransport(app=app(house, allowance=Allowance(**(much | allowed))))
    return httpx.AsyncClient(transport=transport, base_url=BASE)


async def test_guessing_tokens_ends_soon_and_keeps_nobody_behind_that_address_from_answering(
    house: House, desk: Desk
) -> None:
    """A whole park may sit behind one address, and a scanner of its mails mangle links."""
    path = desk.path(await desk.tenant())
    async with limited(house, misses="5/minute") as web:
        assert (await web.get(path)).status_code == 200
        seen = [(await web.get(f"/v/guess{n}.x")).status_code for n in range(8)]
        assert seen == [404] * 5 + [429] * 3
        refused = await web.get("/v/guess9.x")
        assert int(refused.headers["retry-after"]) > 0
        assert (await web.get(path)).status_code == 200


async def test_one_link_cannot_flood(house: House, desk: Desk) -> None:
    tenant, other = await desk.tenant(), await desk.delivery("CDT-VSIP")
    async with limited(house, link_posts="3/minute", link_reads="5/minute") as web:
        token = form_token(await web.get(desk.path(tenant)))
        data = {"form_token": token, **WHO}
        seen = [(await web.post(f"{desk.path(tenant)}/confirm", data=data)).status_code for _ in range(5)]
        assert seen == [303, 303, 303, 429, 429]
        assert (await web.get(desk.path(other))).status_code == 200


async def test_one_address_cannot_flood(house: House, desk: Desk) -> None:
    path = desk.path(await desk.tenant())
    async with limited(house, reads="4/minute") as web:
        assert [(await web.get(path)).status_code for _ in range(6)] == [200] * 4 + [429] * 2


async def test_an_error_inside_says_that_nothing_was_recorded(
    house: House, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the disk is full")

    path = desk.path(await desk.tenant())
    transport = httpx.ASGITransport(app=app(house), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as web:
        token = form_token(await web.get(path))
        monkeypatch.setattr("congvan.acts.confirmations.answer", broken)
        page = await web.post(f"{path}/confirm", data={"form_token": token, **WHO})
    assert page.status_code == 500
    assert "Nội dung chưa được ghi nhận" in page.text
    assert "disk" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_a_companys_file_is_read_beside_the_loop_and_before_anything_is_locked(
    house: House, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be made so that reading it takes long, and then nobody else could answer."""
    seen: list[tuple[bool, int]] = []

    def looked_at(_data: bytes, _name: str) -> None:
        seen.append((threading.current_thread() is threading.main_thread(), house.store.open_transactions))

    monkeypatch.setattr(passing_on, "refuse_own_file", looked_at)
    investor = await desk.delivery("CDT-VSIP")
    order = passing_on.PassOn("Hoa", "Giám đốc", segment_ticked=True, own_pdf=b"%PDF-1.7 ours")
    await passing_on.pass_on(house, investor.id, order)
    assert seen == [(False, 0)]


@pytest.mark.parametrize("page", [b"/Filter /Foo", b"/Filter /JBIG2Decode", b"/Filter [/Crypt]"])
def test_a_file_that_the_reader_trips_over_is_refused_in_words(page: bytes) -> None:
    body = b"BT /F1 12 Tf (x) Tj ET"
    pdf = (
        b"%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
        b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R>>endobj\n"
        b"4 0 obj<<" + page + b"/Length %d>>stream\n" % len(body) + body + b"\nendstream endobj\n"
        b"trailer<</Root 1 0 R/Size 5>>\n%%EOF\n"
    )
    with pytest.raises(BadInput, match="không đọc được tệp PDF"):
        upload.read(pdf)


async def test_a_form_in_no_charset_is_a_bad_request_and_no_fault_of_ours(web: httpx.AsyncClient) -> None:
    page = await web.post(
        "/office/sign-in", content=b'--b\r\nContent-Disposition: form-data; name="\xff"\r\n\r\nx\r\n--b--\r\n',
        headers={"content-type": "multipart/form-data; boundary=b; charset=undefined", "origin": BASE},
    )  # fmt: skip
    assert page.status_code == 400


@pytest.mark.parametrize("page", ["9" * 5_000, "0", "-1", "x"])
async def test_a_page_of_any_number_is_a_page(web: httpx.AsyncClient, desk: Desk, page: str) -> None:
    investor = await desk.delivery("CDT-VSIP")
    assert (await web.get(f"{desk.path(investor)}/below?page={page}")).status_code in (200, 404)
