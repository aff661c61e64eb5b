"""What comes back is told apart: bounces, receipts, machines and people; and nothing that comes back raises."""

from __future__ import annotations

import random
import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from congvan.mail import reading
from congvan.mail.bounces import classify
from congvan.mail.quotes import own_words
from tests.contract.smtp_corpus import MAILBOXES, OURS, SAMPLES, TOKEN, WHO, Sample, mail, reply


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name.replace(" ", "-"))
def test_it_is_what_it_is(sample: Sample) -> None:
    found = classify(sample.raw, MAILBOXES)
    assert (found.kind, found.wrong_address) == (sample.kind, sample.wrong_address), found
    assert found.recipient == sample.recipient
    assert found.token == TOKEN
    assert found.original_message_id == OURS
    if sample.own is not None:
        assert found.text == sample.own


def test_precision_and_recall_of_the_whole_corpus() -> None:
    pairs = Counter((sample.kind, classify(sample.raw, MAILBOXES).kind) for sample in SAMPLES)
    assert len(SAMPLES) >= 150
    for kind in {wanted for wanted, _ in pairs}:
        right = pairs[kind, kind]
        assert right / sum(count for (_, given_), count in pairs.items() if given_ == kind) >= 0.99
        assert right / sum(count for (wanted, _), count in pairs.items() if wanted == kind) >= 0.97


def test_a_report_names_its_envelope_and_its_reason() -> None:
    sample = next(sample for sample in SAMPLES if sample.name == "postfix: no such user")
    found = classify(sample.raw, MAILBOXES)
    assert (found.status, found.envelope_id) == ("5.1.1", "018c-7f")
    assert "User unknown" in found.diagnostic


def test_a_report_that_says_5_0_0_is_read_by_what_the_server_said() -> None:
    sample = next(sample for sample in SAMPLES if sample.name == "postfix: no such user")
    found = classify(sample.raw.replace(b"Status: 5.1.1", b"Status: 5.0.0"), MAILBOXES)
    assert (found.status, found.wrong_address) == ("5.1.1", True)


def test_a_report_without_our_headers_is_known_by_the_address_it_came_to() -> None:
    sample = next(sample for sample in SAMPLES if sample.name == "postfix: no such user")
    bare = sample.raw[: sample.raw.index(b"--BB\r\nContent-Type: text/rfc822-headers")] + b"--BB--\r\n"
    found = classify(bare, MAILBOXES)
    assert (found.kind, found.token, found.original_message_id) == ("bounce_hard", TOKEN, "")


def test_a_report_about_a_forwarded_address_still_names_its_delivery() -> None:
    sample = next(sample for sample in SAMPLES if sample.name == "postfix: no such user")
    moved = sample.raw.replace(
        b"Final-Recipient: rfc822; vanthu@dien-tu.example", b"Final-Recipient: rfc822; x@y.example"
    )
    found = classify(moved, MAILBOXES)
    assert (found.recipient, found.token) == (WHO, TOKEN)


def test_the_worst_of_several_recipients_counts() -> None:
    sample = next(sample for sample in SAMPLES if sample.name == "postfix: delivered")
    both = sample.raw.replace(
        b"\r\n\r\n--BB\r\nContent-Type: text/rfc822",
        b"\r\n\r\nFinal-Recipient: rfc822; b@c.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n"
        b"--BB\r\nContent-Type: text/rfc822",
    )
    assert classify(both, MAILBOXES).kind == "bounce_hard"


def test_a_postmaster_who_writes_himself_is_a_person() -> None:
    raw = mail(
        "Return-Path: <postmaster@dien-tu.example>\nFrom: Nguyen Van A <postmaster@dien-tu.example>\n"
        f"Subject: Re: Cong van so 01\nIn-Reply-To: {OURS}\nContent-Type: text/plain; charset=utf-8",
        "Chúng tôi đã nhận được, thư trước không gửi được vì sự cố.\n",
    )
    assert classify(raw, MAILBOXES).kind == "human"


@pytest.mark.parametrize("text", ["Đã nhận", "Xác nhận đã tiếp nhận công văn", "OK", "Chúng tôi từ chối tiếp nhận"])
def test_the_words_of_a_person_are_only_words(text: str) -> None:
    found = classify(reply("Subject: Re: Cong van", text), MAILBOXES)
    assert (found.kind, found.text) == ("human", text)


def test_a_postmaster_who_begins_a_thread_is_a_person() -> None:
    raw = mail(
        "Return-Path: <postmaster@dien-tu.example>\nFrom: Nguyen Van A <postmaster@dien-tu.example>\n"
        "Subject: Cong ty Dien tu\nContent-Type: text/plain; charset=utf-8",
        "Đã nhận. Chúng tôi không thể gửi báo cáo trước ngày 8/12.\n",
    )
    assert classify(raw, MAILBOXES).kind == "human"
    assert classify(raw.replace(b"Cong ty Dien tu", b"Undeliverable: Cong van"), MAILBOXES).kind == "bounce_hard"


def test_an_answer_with_a_bounce_attached_is_an_answer() -> None:
    bounce = next(sample for sample in SAMPLES if sample.name == "postfix: no such user").raw
    raw = mail(
        f"From: Van thu <{WHO}>\nSubject: Re: x\nIn-Reply-To: {OURS}\nContent-Type: multipart/mixed; boundary=P",
        "--P\nContent-Type: text/plain; charset=utf-8\n\nTôi gửi thư cho phòng Quy hoạch thì bị trả lại.\n\n"
        "--P\nContent-Type: message/rfc822\n\n" + bounce.decode().replace("\r\n", "\n") + "\n--P--\n",
    )
    found = classify(raw, MAILBOXES)
    assert (found.kind, found.recipient) == ("human", WHO)
    assert found.text == "Tôi gửi thư cho phòng Quy hoạch thì bị trả lại."


@pytest.mark.parametrize(
    ("said", "kind", "status", "wrong_address"),
    [
        ("mx[5.10.20.30]: timed out. Will keep trying.", "bounce_soft", "", False),
        ("mx[5.1.20.30]: Connection timed out. Still trying.", "bounce_soft", "", False),
        ("host mx (4.3.2.1) said: 550 no such user", "bounce_hard", "", True),
        ("host mx said: 550 no such user. Exim 4.96.2", "bounce_hard", "", True),
        ("host mx said: 550 no such user. MTA 4.3.2", "bounce_hard", "4.3.2", False),
        ("host mx said: 550 5.1.1 no such user. MTA 4.3.2 (5.1.1).", "bounce_hard", "5.1.1", True),
        ("#550 4.4.7 QUEUE.Expired; message expired", "bounce_hard", "4.4.7", False),
        ("451 4.2.0 greylisted. This is not a permanent error.", "bounce_soft", "4.2.0", False),
        ("451 4.2.0 greylisted. A permanent error.", "bounce_hard", "4.2.0", False),
    ],
)
def test_what_looks_like_a_status_and_is_an_address_or_a_version_is_none(
    said: str, kind: str, status: str, wrong_address: bool
) -> None:
    head = "Return-Path: <>\nFrom: MAILER-DAEMON@x.example\nSubject: your mail"
    found = classify(mail(head, f"To {WHO}: could not be delivered.\n{said}\n"), MAILBOXES)
    assert (found.kind, found.status, found.wrong_address) == (kind, status, wrong_address)


#: Windows-1258 has some tone marks as characters of their own.
CP1258 = str.maketrans({"ố": "ô\u0301", "ậ": "â\u0323", "ã": "a\u0303"})


@pytest.mark.parametrize(
    "octets",
    [
        "Công văn số 12, đã nhận".encode(),
        "Công văn số 12, đã nhận".translate(CP1258).encode("cp1258"),
        "=?utf-8?b?Q8O0bmcgdsSDbg==?= số 12, đã nhận".encode(),
        "Công văn =?utf-8?q?s=E1=BB=91?= 12, đã nhận".encode(),
    ],
    ids=["utf-8", "cp1258", "mixed", "mixed the other way"],
)
def test_a_header_that_nobody_encoded_is_read_all_the_same(octets: bytes) -> None:
    raw = b"From: V\xc4\x83n th\xc6\xb0 <a@b.example>\r\nSubject: " + octets + b"\r\n\r\nxin chao\r\n"
    found = classify(raw, MAILBOXES)
    assert (found.subject, found.recipient) == ("Công văn số 12, đã nhận", "a@b.example")


def test_a_stranger_is_a_person_without_a_token() -> None:
    found = classify(b"From: a@b.example\r\nTo: congvan@bql-mau.example\r\nSubject: hi\r\n\r\nxin chao\r\n", MAILBOXES)
    assert (found.kind, found.token, found.original_message_id) == ("human", "", "")


def test_a_notice_that_says_nothing_is_unknown() -> None:
    raw = b"Return-Path: <>\r\nFrom: MAILER-DAEMON@x.example\r\nSubject: hello\r\n\r\nhello\r\n"
    assert classify(raw, MAILBOXES).kind == "unknown"


def test_text_without_a_quotation_is_kept_whole() -> None:
    text = "Từ: ngày mai\nchúng tôi thực hiện.\n\nNgày 05/12 đã họp.\nOn va ban viet:\nhết"
    assert own_words(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "Đã gửi từ ngày 05/12/2023 qua đường bưu điện, số 12/CV-CT.",
        "Gửi từ phòng Hành chính: đã nhận công văn.",
        "Đã gửi bằng Gmail hôm qua.",
        "Ngày 05/12/2023 Công ty đã gửi",
    ],
)
def test_an_answer_that_begins_like_a_heading_or_a_footer_is_shown(text: str) -> None:
    assert own_words(text) == text


@pytest.mark.parametrize(
    "footer",
    [
        "Đã gửi từ iPhone của tôi",
        "Sent from my Samsung Galaxy smartphone.",
        "Gửi từ Thư cho Windows",
        "Get Outlook for iOS",
        "Được gửi từ điện thoại thông minh Samsung Galaxy của tôi.",
    ],
)
def test_what_the_telephone_says_below_is_left_out_and_what_stands_below_that_is_not(footer: str) -> None:
    assert own_words(f"{footer}\n\nCông ty đã nhận.\n\nVào 08:05, Ban Quản lý đã viết:\n> a") == "Công ty đã nhận."
    assert own_words(f"Công ty đã nhận.\n\n{footer}\n\n> a") == "Công ty đã nhận."


def test_an_answer_below_the_letter_is_shown() -> None:
    assert own_words("Vào 08:05, Ban Quản lý đã viết:\n> Kính gửi\n> ./.\n\nCông ty đã nhận.").endswith(
        "\n\nCông ty đã nhận."
    )


HTML = "--P\nContent-Type: text/html; charset=utf-8\n\n<p>Công ty đã nhận.</p>\n\n"


@pytest.mark.parametrize(
    "body",
    [
        "--P\nContent-Type: text/plain\n\n \n\n" + HTML + "--P--\n",
        HTML + "--P\nContent-Type: text/plain; name=a.txt\n\nphụ lục\n\n--P--\n",
        HTML + "--P\nContent-Type: message/rfc822\n\nSubject: x\nContent-Type: text/plain\n\nthư cũ\n\n--P--\n",
    ],
    ids=["empty plain text", "a file", "a mail"],
)
def test_what_a_person_wrote_is_shown_and_not_what_he_attached(body: str) -> None:
    head = f"From: Van thu <{WHO}>\nSubject: Re: x\nContent-Type: multipart/mixed; boundary=P"
    found = classify(mail(head, body), MAILBOXES)
    assert (found.kind, found.text) == ("human", "Công ty đã nhận.")


@pytest.mark.parametrize(
    "head",
    [
        b"Subject: =?u\xff-8?q?x?=\r\nFrom: a@b.example",
        b"From: \xff\xfe <MAILER-DAEMON@x.example>\r\nSubject: failure notice",
        b"From: MAILER-DAEMON\r\nSubject: failure notice",
        b"Content-Type: text/plain; charset=klingon\r\nFrom: a@b.example",
        b"Content-Type: message/delivery-status\r\nContent-Transfer-Encoding: base64\r\nFrom: a@b.example",
        *(
            b"From: a@b.example\r\nContent-Type: " + kind + b"; " + parameters
            for kind in (b"text/plain; charset=utf-8", b"multipart/mixed; boundary=x", b"message/delivery-status")
            for parameters in (b"name*=utf-8''a; name*0=b", b"name*" + b"9" * 4400 + b"=b")
        ),
    ],
    ids=lambda head: ascii(head)[2:80],
)
def test_broken_headers_that_once_raised_no_longer_do(head: bytes) -> None:
    assert classify(head + b"\r\n\r\n\xf0\xe3 nh\xe2n\r\n", MAILBOXES).kind in KINDS


KINDS = {"bounce_hard", "bounce_soft", "delivered", "relayed", "auto_reply", "human", "unknown"}


@settings(deadline=None)
@given(st.binary(max_size=4000))
def test_nothing_that_comes_in_raises(raw: bytes) -> None:
    assert classify(raw, MAILBOXES).kind in KINDS


@settings(deadline=None)
@given(st.integers(0, len(SAMPLES) - 1), st.randoms(use_true_random=False))
def test_a_damaged_mail_raises_nothing_and_confirms_nothing(index: int, chance: random.Random) -> None:
    raw = bytearray(SAMPLES[index].raw)
    for _ in range(chance.randrange(1, 30)):
        at = chance.randrange(len(raw))
        match chance.randrange(3):
            case 0:
                raw[at] = chance.randrange(256)
            case 1:
                del raw[at : at + chance.randrange(60)]
            case _:
                raw[at:at] = raw[chance.randrange(len(raw)) :][:80]
        if not raw:
            break
    assert classify(bytes(raw), MAILBOXES).kind in KINDS


BOMBS = {
    "a thousand parts": b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + b"--b\r\n\r\nx\r\n" * 20_000,
    "parts in parts": b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(3000)
    ),
    "messages in messages": b"Content-Type: message/rfc822\r\n\r\n" * 5000,
    "open tags": b"Content-Type: text/html\r\n\r\n" + b"<style" * 50_000,
    "comments": b"Content-Type: text/html\r\n\r\n" + b"<!--" * 60_000,
    "angles": b"\r\n" + b"<" * 200_000,
    "blank lines": b"\r\n" + b"\r\n " * 100_000,
    "one line": b"\r\n" + "Vào ".encode() * 60_000 + "viết".encode(),
    "headings": b"\r\n" + "Từ: x\r\n".encode() * 30_000,
    "addresses": b"From: MAILER-DAEMON@x.example\r\nSubject: failure notice\r\n\r\n" + b"a" * 290_000,
    "encoded words": b"Subject: " + b"=?utf-8?q?=41?= " * 15_000 + b"\r\n\r\n",
    "recipients": b"To: " + b"a@b.example, " * 20_000 + b"\r\n\r\n",
    "comments in addresses": b"To: " + b"(" * 100_000 + b"\r\n\r\n",
    "references": b"References: " + b"<a@b.example> " * 15_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("name", sorted(BOMBS))
def test_no_mail_costs_much_time(name: str) -> None:
    begun = time.process_time()
    classify(BOMBS[name], MAILBOXES)
    # Linear it takes a fraction of this on any machine, quadratic it takes minutes.
    assert time.process_time() - begun < 10


def test_an_id_that_no_database_keeps_is_none() -> None:
    """PostgreSQL refuses a NUL, and the reader would stop at that mail each time."""
    raw = b"Message-ID: <a\x00b@x.example> <\xe9@x.example> <a\x7f@x.example> <good.one=1@x.example>\r\n\r\n"
    assert reading.message_ids(reading.parse(raw), "Message-ID") == ["<good.one=1@x.example>"]
