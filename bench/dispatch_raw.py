"""How fast the mail layer alone hands letters over, beside what a user would write and beside the bare limit.

Three ways in one run, over as many connections, into the same sink in a process of its own:

  plain   an aiosmtplib pool and an EmailMessage per recipient, the file attached to each
  ours    words filled per recipient, the message spliced, `Sender.send`; no database
  bare    one ready message, the same octets for everybody, over the same connections and nothing else

Run: python bench/dispatch_raw.py [--letters 10000] [--connections 4] [--uvloop]
Read the ratios; the absolute figures are the machine's.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import resource
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from multiprocessing.connection import Connection
from pathlib import Path

import aiosmtplib

from congvan.mail.connecting import open_line
from congvan.mail.conversation import Timeouts
from congvan.mail.message import Enclosure, Headers, compose, encode_enclosures, message_id
from congvan.mail.outgoing import Envelope, Outgoing
from congvan.mail.sender import Sender, SmtpUrl
from congvan.mail.sink import Sink
from congvan.mail.words import Head, LetterMail, Mail, Words

PDF = Enclosure.of("Công văn số 01.pdf", "application/pdf", b"%PDF-1.7\n" + bytes(range(256)) * 240)
DATE = datetime(2023, 12, 1, 1, 0, tzinfo=UTC)
FRAGMENT = "<p>Đề nghị các đơn vị thực hiện nghiêm các nội dung sau đây:</p>" + "<p>Nội dung của văn bản.</p>" * 12
LETTER = LetterMail(
    head=Head(authority="Ban Quản lý Khu kinh tế Mẫu", mailbox="congvan@bql.example", unit="phòng Kế hoạch"),
    recipient="",
    document="Công văn số 01/BQL-KH ngày 01/12/2023",
    subject="phối hợp thực hiện cao điểm tấn công, trấn áp tội phạm",
    directive="văn bản số 4321/VP-TH ngày 29/11/2023",
    deadline="17 giờ 00 ngày 08/12/2023",
    deadline_en="8 December 2023",
    link="",
    code="",
    fragment=FRAGMENT,
)


def serve(pipe: Connection) -> None:
    """The sink, until the other side hangs up."""

    async def run() -> None:
        async with Sink() as sink:
            pipe.send(sink.port)
            await asyncio.to_thread(pipe.recv)
            pipe.send(sink.accepted)

    asyncio.run(run())


class Way:
    """One way of sending, timed."""

    def __init__(self, port: int, connections: int) -> None:
        self.port, self.connections = port, connections
        self.mould = Words(Path(__file__).parents[1] / "templates").mould(LETTER, ("recipient", "link", "code"))

    def mail(self, number: int) -> Mail:
        return self.mould.fill(
            {
                "recipient": f"Công ty TNHH Mẫu {number}",
                "link": f"https://bql.example/t/{number}",
                "code": f"M-{number}",
            }
        )

    async def plain(self, count: int) -> None:
        numbers = iter(range(count))

        async def work() -> None:
            async with aiosmtplib.SMTP(hostname="127.0.0.1", port=self.port, start_tls=False) as client:
                for number in numbers:
                    await client.send_message(self._by_the_library(number))

        await asyncio.gather(*(work() for _ in range(self.connections)))

    def _by_the_library(self, number: int) -> EmailMessage:
        mail, message = self.mail(number), EmailMessage()
        message["From"] = "Ban Quản lý Khu kinh tế Mẫu <congvan@bql.example>"
        message["To"] = f"Công ty TNHH Mẫu {number} <vt@cty{number % 500}.example>"
        message["Subject"] = mail.subject
        message["Message-ID"] = message_id(str(number), "letter", 0, "bql.example")
        message.set_content(mail.text)
        message.add_alternative(mail.html, subtype="html")
        message.add_attachment(PDF.data, maintype="application", subtype="pdf", filename=PDF.name)
        return message

    async def ours(self, count: int) -> None:
        shared = encode_enclosures([PDF])

        def letters() -> Iterator[Outgoing]:
            for number in range(count):
                yield Outgoing(
                    str(number),
                    f"b+{number}@bql.example",
                    f"vt@cty{number % 500}.example",
                    lambda number=number: build(number),  # type: ignore[misc]
                )

        def build(number: int) -> bytes:
            mail = self.mail(number)
            headers = Headers(
                from_name="Ban Quản lý Khu kinh tế Mẫu",
                from_address="congvan@bql.example",
                to_name=f"Công ty TNHH Mẫu {number}",
                to_address=f"vt@cty{number % 500}.example",
                subject=mail.subject,
                date=DATE,
                message_id=message_id(str(number), "letter", 0, "bql.example"),
                reply_to=f"congvan+{number}@bql.example",
            )
            return compose(headers, mail.text, mail.html, shared)

        self.build = build
        sender = Sender(SmtpUrl("127.0.0.1", self.port, "none"), connections=self.connections)
        async for outcome in sender.send(letters()):
            assert outcome.verdict == "accepted", outcome
        await sender.aclose()

    async def bare(self, count: int) -> None:
        payload = self.build(0)
        envelope = Envelope("b@bql.example", "vt@cty.example")
        numbers = iter(range(count))

        async def work() -> None:
            line = await open_line(SmtpUrl("127.0.0.1", self.port, "none"), None, Timeouts())
            for _ in numbers:
                ended = await line.hand_over(envelope, payload)
                assert ended.verdict == "accepted", ended
            await line.leave()

        await asyncio.gather(*(work() for _ in range(self.connections)))


async def timed(send: Callable[[int], Awaitable[None]], count: int) -> float:
    """Letters a second."""
    begun = time.perf_counter()
    await send(count)
    return count / (time.perf_counter() - begun)


async def measure(port: int, letters: int, connections: int) -> None:
    way = Way(port, connections)
    await way.ours(200)
    plain = await timed(way.plain, max(letters // 20, 100))
    ours, bare = await timed(way.ours, letters), await timed(way.bare, letters)
    print(f"plain {plain:8.0f}/s")
    print(f"ours  {ours:8.0f}/s   {ours / plain:.1f} x plain   {ours / bare:.2f} of bare")
    print(f"bare  {bare:8.0f}/s   one message of {len(way.build(0)) // 1000} kB")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--letters", type=int, default=10_000)
    options.add_argument("--connections", type=int, default=4)
    options.add_argument("--uvloop", action="store_true")
    chosen = options.parse_args()
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(there,), daemon=True)
    process.start()
    work = measure(here.recv(), chosen.letters, chosen.connections)
    if chosen.uvloop:
        import uvloop

        uvloop.run(work)
    else:
        asyncio.run(work)
    here.send("end")
    print(f"the sink counted {here.recv()}")
    process.join()


if __name__ == "__main__":
    main()
