"""A message is spliced from bytes and reads like one that the standard library would have made."""

from __future__ import annotations

import email
import email.policy
import hashlib
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from icalendar import Calendar

from congvan.errors import LetterRefused
from congvan.mail.address import AddressUnusable
from congvan.mail.ics import deadline_ics
from congvan.mail.message import (
    Enclosure,
    Encoder,
    HeaderRefused,
    Headers,
    compose,
    encode_enclosures,
    encoded_size,
    message_id,
    parse_address,
    ready,
    that_fit,
    verp_sender,
    verp_token,
)
from tests.contract.smtp_samples import DATE, ID, headers

PDF = Enclosure.of("Công văn số 01.pdf", "application/pdf", b"%PDF-1.7\n" + bytes(range(256)) * 240)
CITY = Enclosure.of("Văn bản 4321 của Văn phòng Ủy ban.pdf", "application/pdf", b"%PDF-1.4\n.\n..\n" * 500)


@given(
    st.lists(st.text(alphabet="aếđ 🙂\n=", max_size=90), min_size=1, max_size=6),
    st.lists(st.text(alphabet="Công ty&<>\n", max_size=120), min_size=5, max_size=5),
)
@settings(max_examples=300, deadline=None)
def test_a_text_that_is_encoded_in_pieces_is_the_text(fixed: list[str], values: list[str]) -> None:
    values = values[: len(fixed) - 1]
    whole = fixed[0] + "".join(value + piece for value, piece in zip(values, fixed[1:], strict=True))
    carried = Encoder(fixed).fill([ready(value) for value in values])
    last_end = ready(fixed[-1]).rstrip(b"\r\n")
    said = ready(whole.removesuffix(fixed[-1])) + last_end + b"\r\n"
    assert b64decode(carried, validate=False) == said
    assert all(len(line) <= 76 for line in carried.split(b"\r\n"))
    assert carried.endswith(b"\r\n")


def parsed(payload: bytes) -> EmailMessage:
    assert payload.endswith(b"\r\n.\r\n")
    assert payload.find(b"\r\n.\r\n") == len(payload) - 5
    return email.message_from_bytes(payload[:-3], policy=email.policy.default)


def by_the_library(head: Headers, text: str, page: str, enclosures: list[Enclosure]) -> EmailMessage:
    """The same message as EmailMessage holds it."""
    message = EmailMessage()
    message["From"] = f'"{head.from_name}" <{head.from_address}>'
    message["To"] = f'"{head.to_name}" <{head.to_address}>'
    message["Reply-To"] = head.reply_to
    message["Subject"] = head.subject
    message["Date"] = format_datetime(head.date)
    message["Message-ID"] = head.message_id
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    message.add_alternative(page, subtype="html")
    for enclosure in enclosures:
        main, _, sub = enclosure.media_type.partition("/")
        message.add_attachment(enclosure.data, maintype=main, subtype=sub, filename=enclosure.name)
    return message


def lines_of(text: str) -> list[str]:
    return text.rstrip("\r\n").splitlines()


def test_a_spliced_message_reads_like_the_one_that_the_standard_library_makes() -> None:
    text, page = "Kính gửi Quý đơn vị\n\n.một dòng bắt đầu bằng dấu chấm\nhết", "<p>Kính gửi</p>\n<p>.chấm</p>"
    ours = parsed(compose(headers(), text, page, encode_enclosures([PDF]), [CITY]))
    theirs = by_the_library(headers(), text, page, [PDF, CITY])
    for name in ("From", "To", "Reply-To", "Subject", "Date", "Message-ID", "Auto-Submitted"):
        assert str(ours[name]).split() == str(theirs[name]).split(), name
    assert [part.get_content_type() for part in ours.walk()] == [part.get_content_type() for part in theirs.walk()]
    for kind in ("plain", "html"):
        our_body, their_body = ours.get_body((kind,)), theirs.get_body((kind,))
        assert our_body is not None
        assert their_body is not None
        assert lines_of(our_body.get_content()) == lines_of(their_body.get_content())
    for our_file, their_file in zip(ours.iter_attachments(), theirs.iter_attachments(), strict=True):
        assert our_file.get_filename() == their_file.get_filename()
        assert our_file.get_content() == their_file.get_content()
    assert not any(part.defects for part in ours.walk())


def test_enclosures_arrive_with_their_names_and_hashes() -> None:
    message = parsed(compose(headers(), "văn bản", "<p>văn bản</p>", encode_enclosures([PDF, CITY])))
    found = [(part.get_filename(), part.get_content()) for part in message.iter_attachments()]
    assert [(name, hashlib.sha256(data).hexdigest()) for name, data in found] == [
        (PDF.name, PDF.sha256),
        (CITY.name, CITY.sha256),
    ]


def test_a_message_without_files_is_plain_or_alternative() -> None:
    assert parsed(compose(headers(), "chữ")).get_content_type() == "text/plain"
    assert parsed(compose(headers(), "chữ", "<p>chữ</p>")).get_content_type() == "multipart/alternative"


def test_every_line_is_short_seven_bit_and_never_begins_with_a_dot() -> None:
    long = "Công ty Trách nhiệm hữu hạn " + "Sản xuất và Thương mại " * 14
    payload = compose(
        headers(to_name=long, from_name=long, references=tuple(f"<{n}.x@a.example>" for n in range(30))),
        ".\n..\n" + "á" * 5000,
        "<p>.</p>",
        encode_enclosures([Enclosure.of("Phụ lục " + "rất dài " * 40 + ".pdf", "application/pdf", b"x")]),
    )
    lines = payload.split(b"\r\n")
    assert lines[-2:] == [b".", b""]
    assert all(not line.startswith(b".") and len(line) <= 78 and line.isascii() for line in lines[:-2])
    assert b"\n" not in payload.replace(b"\r\n", b"")
    assert str(parsed(payload)["To"]).split()[:10] == long.split()[:10]


@pytest.mark.parametrize(
    "field", ["from_name", "from_address", "to_name", "to_address", "subject", "message_id", "reply_to", "language"]
)
@pytest.mark.parametrize("weapon", ["\r\nBcc: x@evil.example", "\nBcc: x@evil.example", "\r", "\x00", "\u2028", "\x85"])
def test_no_header_can_be_injected(field: str, weapon: str) -> None:
    with pytest.raises(LetterRefused):
        headers(**{field: f"a{weapon}b@x.example"}).encode()


@pytest.mark.parametrize("name", ["a\r\nX: y.pdf", "a\x00.pdf", "a\n.pdf"])
def test_no_header_can_be_injected_through_a_file_name(name: str) -> None:
    with pytest.raises(HeaderRefused):
        encode_enclosures([Enclosure.of(name, "application/pdf", b"")])


def test_no_header_can_be_injected_through_a_media_type() -> None:
    with pytest.raises(HeaderRefused):
        encode_enclosures([Enclosure.of("a.pdf", "application/pdf\r\nX: y", b"")])


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=300))
def test_any_subject_and_name_survives_encoding_and_folding(text: str) -> None:
    message = parsed(compose(headers(subject=text, to_name=text), "x"))
    assert str(message["Subject"]).split() == text.split()
    # By decode_header: the structured parser of Python 3.11 shows the gap between two encoded words.
    raw = dict(message.raw_items())["To"]
    assert str(make_header(decode_header(raw))).rpartition("<")[0].replace('"', "").replace("\\", "").split() == (
        text.replace('"', "").replace("\\", "").split()
    )
    # Without a name the address stands alone.
    assert raw.endswith("<vanthu@dien-tu.example>" if text.strip() else "vanthu@dien-tu.example")


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=120))
def test_any_file_name_survives_or_loses_only_its_slashes(name: str) -> None:
    message = parsed(compose(headers(), "x", "", encode_enclosures([Enclosure.of(name, "text/csv", b"1")])))
    (part,) = message.iter_attachments()
    import unicodedata

    wanted = unicodedata.normalize("NFC", name).replace("/", "-").replace("\\", "-")
    assert (part.get_filename() or "").strip() == wanted.strip()


def test_a_reminder_stands_in_the_thread_of_its_letter() -> None:
    reminder = message_id("018c-7f", "reminder", 2, "bql-mau.example")
    message = parsed(compose(headers(message_id=reminder, in_reply_to=ID, references=(ID,)), "nhắc việc"))
    assert (message["Message-ID"], message["In-Reply-To"], message["References"]) == (reminder, ID, ID)


def test_an_urgent_letter_is_marked_and_asks_no_machine_for_an_answer() -> None:
    message = parsed(compose(headers(urgent=True), "khẩn"))
    assert message["Importance"] == "high"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Auto-Response-Suppress"] == "OOF, AutoReply"
    assert message["List-Unsubscribe"] is None


def test_a_domain_with_diacritics_travels_as_ascii_and_needs_no_smtputf8() -> None:
    head = headers(to_address="vanthu@công-ty.vn")
    assert not head.needs_utf8
    assert parsed(compose(head, "x"))["To"].addresses[0].addr_spec == "vanthu@xn--cng-ty-ixa.vn"


def test_a_local_part_with_diacritics_needs_smtputf8() -> None:
    head = headers(to_address="văn.thư@cty.example")
    assert head.needs_utf8
    assert "văn.thư@cty.example".encode() in compose(head, "x")


@pytest.mark.parametrize("address", ["", "x", "x@", "@x.vn", "a b@x.vn", "a@b..vn", "x" * 65 + "@a.vn", "a@-b.vn"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(AddressUnusable):
        parse_address(address)


def test_a_date_without_a_time_zone_is_refused() -> None:
    with pytest.raises(HeaderRefused):
        headers(date=datetime(2023, 12, 1)).encode()  # noqa: DTZ001


def test_a_repeat_is_the_same_message() -> None:
    shared = encode_enclosures([PDF])
    assert compose(headers(), "a", "<p>a</p>", shared) == compose(headers(), "a", "<p>a</p>", shared)
    assert message_id("d", "letter", 0, "a.example") == "<d.letter.0@a.example>"
    assert message_id("d", "reminder", 1, "công-ty.vn") == "<d.reminder.1@xn--cng-ty-ixa.vn>"


@pytest.mark.parametrize("parts", [("", "letter", 0), ("a b", "letter", 0), ("d", "k>", 0), ("d", "k\r\n", 0)])
def test_a_message_id_takes_only_what_can_stand_in_it(parts: tuple[str, str, int]) -> None:
    with pytest.raises(ValueError, match="Message-ID"):
        message_id(*parts, "a.example")


def test_the_envelope_sender_names_its_delivery_also_after_lower_and_upper_case() -> None:
    sender = verp_sender("bounces@bql-mau.example", "018c7f-9af3")
    assert sender == "bounces+018c7f-9af3@bql-mau.example"
    assert verp_token("bounces@bql-mau.example", f"<{sender.upper()}>") == "018c7f-9af3"
    assert verp_token("bounces@bql-mau.example", "bounces@bql-mau.example") is None
    assert verp_token("bounces@bql-mau.example", "bounces+x@other.example") is None


@pytest.mark.parametrize("token", ["", "ABC", "a b", "a@b", "a" * 60, "a..b", "-a", "á"])
def test_a_token_that_would_not_survive_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match=r"token|octets"):
        verp_sender("bounces@bql-mau.example", token)


def test_what_is_too_large_waits_behind_a_link_and_the_letter_comes_first() -> None:
    huge = Enclosure.of("hồ sơ.zip", "application/zip", b"\0" * 3_000_000)
    assert that_fit([len(one.data) for one in (PDF, huge, CITY)], 1_000_000) == [True, False, True]
    assert abs(encoded_size(len(PDF.data)) - len(encode_enclosures([PDF]).encoded)) < 512


def test_the_deadline_is_a_calendar_entry_that_an_extension_moves() -> None:
    due = datetime(2023, 12, 8, 10, 0, tzinfo=UTC)
    first = _ics(due, 0)
    assert first == _ics(due, 0)
    (event,) = Calendar.from_ical(first.data).walk("VEVENT")
    assert event["UID"] == "018c-7f@bql-mau.example"
    assert event.decoded("dtend") == due
    assert event.decoded("dtstamp") == DATE
    (moved,) = Calendar.from_ical(_ics(due + timedelta(days=3), 1).data).walk("VEVENT")
    assert (moved["UID"], moved["SEQUENCE"]) == (event["UID"], 1)
    message = parsed(compose(headers(), "x", "<p>x</p>", extra=[first]))
    (part,) = message.iter_attachments()
    assert (part.get_content_type(), part.get_param("method")) == ("text/calendar", "PUBLISH")


def _ics(due: datetime, sequence: int) -> Enclosure:
    return deadline_ics(
        uid="018c-7f@bql-mau.example",
        stamp=DATE,
        due_at=due,
        summary="Hạn xác nhận Công văn số 01/BQL-KH",
        description="Đề nghị xác nhận",
        link="https://congvan.example/t/abc",
        sequence=sequence,
    )
