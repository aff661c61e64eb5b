"""The sink takes what it answers with 250, keeps it before it answers, and can be counted from outside."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from congvan.mail.message import Enclosure, compose, encode_enclosures, message_id
from congvan.mail.outgoing import Outgoing
from congvan.mail.sender import Sender, SmtpUrl
from congvan.mail.sink import Sink, SinkStore
from tests.contract.smtp_faulty import certificate
from tests.contract.smtp_samples import headers

NOW = datetime(2023, 12, 1, 1, 0, tzinfo=UTC)
PDF = Enclosure.of("Công văn số 01.pdf", "application/pdf", b"%PDF" + bytes(range(256)) * 10)


async def sent(sink: Sink, *items: Outgoing) -> list[str]:
    mailer = Sender(SmtpUrl("127.0.0.1", sink.port, "none"), connections=2)
    try:
        return [outcome.verdict async for outcome in mailer.send(items)]
    finally:
        await mailer.aclose()


def letter(number: int, subject: str = "Công văn số 01 V/v phòng cháy") -> Outgoing:
    head = headers(
        subject=f"{subject} {number}",
        to_address=f"vt{number}@cty.example",
        message_id=message_id(f"d{number}", "letter", 0, "bql.example"),
    )
    payload = compose(head, "Kính gửi\n.chấm", "<p>Kính gửi</p>", encode_enclosures([PDF]))
    return Outgoing(str(number), f"b+d{number}@bql.example", f"vt{number}@cty.example", payload)


async def test_a_letter_is_on_disk_before_it_is_answered_for(tmp_path: Path) -> None:
    store = SinkStore(tmp_path, lambda: NOW)
    async with Sink(store.on_message) as sink:
        assert await sent(sink, *(letter(number) for number in range(5))) == ["accepted"] * 5
    lines = (tmp_path / "index.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == sink.accepted == sum(name.endswith(".eml") for name in os.listdir(tmp_path)) == 5
    assert len({json.loads(line)["message_id"] for line in lines}) == 5


async def test_a_kept_letter_is_read_again_with_its_files(tmp_path: Path) -> None:
    store = SinkStore(tmp_path, lambda: NOW)
    async with Sink(store.on_message) as sink:
        await sent(sink, letter(7))
    ((stored,), total) = store.page(address="VT7@cty.example")
    assert total == 1
    assert (stored.message_id, stored.mail_from) == ("<d7.letter.0@bql.example>", "b+d7@bql.example")
    assert stored.at == NOW.isoformat()
    opened = store.open(stored.number)
    assert opened is not None
    assert opened.text.splitlines() == ["Kính gửi", ".chấm"]
    assert opened.html.strip() == "<p>Kính gửi</p>"
    assert [(file.name, file.sha256) for file in opened.attachments] == [(PDF.name, PDF.sha256)]
    assert opened.header("reply-to") == "congvan+018c7f.k3x@bql-mau.example"
    assert hashlib.sha256((tmp_path / stored.file).read_bytes()).hexdigest() == stored.sha256
    assert store.open(99) is None


async def test_letters_are_listed_newest_first_searched_and_paged(tmp_path: Path) -> None:
    store = SinkStore(tmp_path)
    async with Sink(store.on_message) as sink:
        for number in range(6):
            await sent(sink, letter(number, "Nhắc việc" if number % 2 else "Công văn"))
    page, total = store.page(search="NHẮC VIỆC", limit=2)
    assert [stored.subject for stored in page] == ["Nhắc việc 5", "Nhắc việc 3"]
    assert total == 3
    assert [stored.number for stored in store.page(offset=4)[0]] == [2, 1]
    assert SinkStore(tmp_path).keep("", ("x@y.example",), b"Subject: x\r\n\r\n").number == 7


async def test_a_line_that_is_being_written_is_not_there_yet(tmp_path: Path) -> None:
    store = SinkStore(tmp_path)
    store.keep("", ("x@y.example",), b"Subject: x\r\n\r\n")
    with (tmp_path / "index.jsonl").open("a") as index:
        index.write('{"number": 2, "at"')
    assert len(list(store.lines())) == 1


async def test_recipients_and_messages_are_refused_by_the_hooks(tmp_path: Path) -> None:
    async def judge(mail_from: str, rcpt_to: tuple[str, ...], data: bytes) -> str | None:
        return "554 5.7.1 not this one" if b"d2.letter" in data else None

    refuse = {"vt1@cty.example": "550 5.1.1 no such user"}.get
    async with Sink(judge, refuse) as sink:
        assert sorted(await sent(sink, *(letter(number) for number in range(4)))) == [
            "accepted", "accepted", "refused", "refused"
        ]  # fmt: skip
        assert sink.accepted == 2


async def test_a_hook_that_fails_is_not_now() -> None:
    async def broken(mail_from: str, rcpt_to: tuple[str, ...], data: bytes) -> str | None:
        raise OSError("disk full")

    async with Sink(broken) as sink:
        assert await sent(sink, letter(1)) == ["unavailable"]
        assert sink.accepted == 0


async def test_pipelined_octets_in_any_cut_give_the_same_letters(tmp_path: Path) -> None:
    script = (
        b"EHLO me\r\nMAIL FROM:<a@b.example> SIZE=9\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"
        b"Subject: x\r\n\r\n..a\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<e@f.example>\r\nDATA\r\n.b\r\n..\r\n.\r\nQUIT\r\n"
    )
    for cut in (1, 2, 3, 7, 1000):
        store = SinkStore(tmp_path / str(cut))
        async with Sink(store.on_message) as sink:
            reader, writer = await asyncio.open_connection("127.0.0.1", sink.port)
            for start in range(0, len(script), cut):
                writer.write(script[start : start + cut])
                await writer.drain()
                await asyncio.sleep(0)
            answers = (await reader.read()).splitlines()
            writer.close()
            await writer.wait_closed()
        assert answers[-1].startswith(b"221")
        assert sum(answer.startswith(b"354") for answer in answers) == 2
        first, second = store.lines()
        assert (store.folder / first.file).read_bytes() == b"Subject: x\r\n\r\n.a\r\n"
        assert (first.mail_from, first.rcpt_to) == ("a@b.example", ("c@d.example",))
        assert (second.mail_from, second.rcpt_to) == ("", ("e@f.example",))


async def test_the_sink_speaks_starttls(tmp_path: Path) -> None:
    context, trusted = certificate(tmp_path, "127.0.0.1")
    async with Sink(tls=context) as sink:
        url = SmtpUrl("127.0.0.1", sink.port, "starttls", ca_file=str(trusted))
        mailer = Sender(url, connections=1)
        assert [outcome.verdict async for outcome in mailer.send([letter(1), letter(2)])] == ["accepted"] * 2
        await mailer.aclose()
        assert sink.accepted == 2
    assert isinstance(context, ssl.SSLContext)


@pytest.mark.parametrize("line", [b"DATA", b"VRFY x", b"MAIL FROM x", b"RCPT TO", b"", b"\xff\xfe"])
async def test_the_sink_answers_nonsense_with_a_refusal(line: bytes) -> None:
    async with Sink() as sink:
        reader, writer = await asyncio.open_connection("127.0.0.1", sink.port)
        writer.write(line + b"\r\nQUIT\r\n")
        answers = (await reader.read()).splitlines()
        writer.close()
        await writer.wait_closed()
        assert answers[1].startswith((b"502", b"554"))
