"""Whatever comes in from outside is read or refused in so many words: nothing raises, nothing confirms by itself.

A few examples of each here; `python -m tests.gates.fuzz` takes 20,000 of each (CONGVAN_FUZZ).
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.parser import BytesParser
from email.policy import default
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from congvan.commands import given as typed
from congvan.errors import BadInput, LetterRefused, LinkInvalid
from congvan.links import Link, Links
from congvan.mail.bounces import classify
from congvan.mail.headers import Headers
from congvan.mail.message import compose
from congvan.portal import forms
from congvan.reading import read_plan
from congvan.registry.sheets import read_register
from congvan.rules.records import CampaignPlan, Register
from tests.conftest import ROOT
from tests.contract.smtp_corpus import MAILBOXES, SAMPLES

fuzz = settings(
    max_examples=int(os.environ.get("CONGVAN_FUZZ", "15")), deadline=None, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip

NOW = datetime(2023, 12, 1, 1, tzinfo=UTC)
LINKS = Links(["first-key-" + "x" * 32], "https://portal.example/")
LINK = Link("0190" + "a" * 28, "answer", 3, NOW + timedelta(days=180))
#: What breaks readers: ends of lines, controls, formulas, marks of direction, lone halves, combining letters.
NASTY = st.sampled_from(
    ["\r\n", "\n", "\r", "\0", "=1+1", "@SUM(A1)", "\u202e", "\u2028", "\u0301", "\x85", "\x0b", "'", '"', ";", "<b>",
     "Bcc: x@y.example", "{{7*7}}", "{% x %}", "../", "%0d%0a", "Đặng", "\ufeff", "\U0001f4e7", "0" * 40, "-",
     "31/02/2024"]
)  # fmt: skip
TEXT = st.lists(st.one_of(NASTY, st.text(max_size=8)), max_size=5).map("".join)


@st.composite
def bent(draw: st.DrawFn, whole: bytes) -> bytes:
    """Bytes with a few places cut, doubled or replaced."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(whole)))
        end = min(len(whole), start + draw(st.integers(0, 60)))
        put = draw(st.one_of(st.just(b""), st.just(whole[start:end] * 2), st.binary(max_size=12), TEXT.map(_utf8)))
        whole = whole[:start] + put + whole[end:]
    return whole


def named(error: BadInput) -> None:
    """What is refused is refused in so many words."""
    assert error.faults
    assert all(str(fault) for fault in error.faults)


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


@fuzz
@given(st.data())
def test_mail_that_comes_in_is_told_apart_and_never_raises(data: st.DataObject) -> None:
    sample = data.draw(st.sampled_from(SAMPLES))
    found = classify(data.draw(bent(sample.raw)), MAILBOXES)
    # What a person or a machine writes back is shown; no kind of mail is an answer to the letter.
    assert found.kind in KINDS
    assert found.token == "" or "\n" not in found.token


KINDS = frozenset({"bounce_hard", "bounce_soft", "delivered", "relayed", "auto_reply", "human", "unknown"})


@fuzz
@given(st.one_of(bent(LINKS.token(LINK).encode()), st.binary(max_size=120)).map(lambda one: one.decode("latin-1")))
def test_a_token_that_was_changed_opens_nothing_else(token: str) -> None:
    try:
        assert LINKS.read(token, "answer", NOW) == LINK
    except LinkInvalid:
        assert token != LINKS.token(LINK)


@fuzz
@given(TEXT)
def test_a_day_that_somebody_types_is_a_day_or_refused(text: str) -> None:
    for read in (typed.day, typed.until):
        try:
            read(text, "--date")
        except BadInput as error:
            named(error)
    forms.day_of(text)


FIELDS = ("name", "position", "segment", "reason", "note", "email", "number", "form_token", "code", "date", "phone")


@fuzz
@given(st.dictionaries(st.sampled_from(FIELDS), TEXT, max_size=8))
def test_a_form_is_filled_or_refused_and_has_no_second_line_in_a_name(sent: Mapping[str, str]) -> None:
    for read in (forms.signed, forms.reject, forms.contact, forms.left_out, forms.delegated):
        filled = read(sent)
        for name, value in filled.values.items():
            assert name in ("reason", "note") or "\n" not in value
            assert "\r" not in value
            assert "\0" not in value
    filled = forms.signed(sent)
    # Who confirms has a name and a position.
    assert filled.faults or (filled.values["name"] and filled.values["position"])


@fuzz
@given(TEXT, TEXT, TEXT, st.one_of(st.just("a@b.example"), TEXT), TEXT)
def test_no_text_becomes_a_header_of_its_own(from_name: str, to_name: str, subject: str, to: str, body: str) -> None:
    headers = Headers(
        from_name=from_name, from_address="cv@bql.example", to_name=to_name, to_address=to, subject=subject, date=NOW,
        message_id="<1@bql.example>", reply_to="cv+1@bql.example",
    )  # fmt: skip
    try:
        payload = compose(headers, body)
    except LetterRefused:
        return
    read = BytesParser(policy=default).parsebytes(bytes(payload[: -len(b".\r\n")]))
    assert {name.lower() for name in read} <= KNOWN, list(read)
    assert all(len(read.get_all(name, [])) == 1 for name in read)
    assert b"\r\n.\r\n" not in payload[: -len(b".\r\n")].rstrip(b"\r\n")


KNOWN = frozenset(
    {"from", "to", "reply-to", "subject", "date", "message-id", "mime-version", "content-type", "auto-submitted",
     "content-language", "content-transfer-encoding", "importance", "x-auto-response-suppress", "sender"}
)  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


CHAIN = ROOT / "tests" / "data" / "chains" / "two"
PLAN = (CHAIN / "plan.yaml").read_bytes()
#: The heading and the first rows: what breaks a reader breaks it there, and each example is read from its first byte.
TABLES = {
    path.name: b"".join(path.read_bytes().splitlines(keepends=True)[:4])
    for path in sorted((CHAIN / "registry").glob("*.csv"))
}


@fuzz
@given(changed=bent(PLAN))
def test_a_plan_is_read_or_its_faults_are_named(place: Path, changed: bytes) -> None:
    path = place / "plan.yaml"
    path.write_bytes(changed)
    try:
        assert isinstance(read_plan(path)[0], CampaignPlan)
    except BadInput as error:
        named(error)


@fuzz
@given(data=st.data())
def test_a_registry_is_read_or_its_faults_are_named(place: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(TABLES)))
    for other, whole in TABLES.items():
        (place / other).write_bytes(whole)
    (place / name).write_bytes(data.draw(bent(TABLES[name])))
    _register([place / one for one in TABLES])


def _register(paths: list[Path]) -> None:
    try:
        assert isinstance(read_register(paths), Register)
    except BadInput as error:
        named(error)


def _book(rows: list[list[str]]) -> bytes:
    cells = "".join(
        "<row>" + "".join(f'<c t="inlineStr"><is><t>{cell}</t></is></c>' for cell in row) + "</row>" for row in rows
    )
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    kin = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    near = "http://schemas.openxmlformats.org/package/2006/relationships"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as book:
        book.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{main}" xmlns:r="{kin}"><sheets><sheet name="organisations" sheetId="1" r:id="r1"/>'
            "</sheets></workbook>",
        )
        book.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{near}"><Relationship Id="r1" Type="{kin}/worksheet" '
            'Target="worksheets/sheet1.xml"/></Relationships>',
        )
        sheet = f'<worksheet xmlns="{main}"><sheetData>{cells}</sheetData></worksheet>'
        book.writestr("xl/worksheets/sheet1.xml", sheet)
    return out.getvalue()


BOOK = _book([["code", "name", "level"], ["A-1", "Công ty A", "tenant"], ["A-2", "Công ty B", "tenant"]])


CELL = st.sampled_from(["code", "name", "=1+1", "&lt;", "A-1", "", "<"])
BOOKS = st.one_of(bent(BOOK), st.lists(st.lists(CELL, max_size=4), max_size=4).map(_book))


@fuzz
@given(changed=BOOKS)
def test_a_workbook_is_read_or_its_faults_are_named(place: Path, changed: bytes) -> None:
    path = place / "book.xlsx"
    path.write_bytes(changed)
    _register([path])
