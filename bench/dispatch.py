"""How fast the durable outbox sends: beside what a user would write, and beside the bare limit of the wire.

Every way runs in a process of its own, over as many connections, into the same sink in another process:

  plain   an aiosmtplib pool and an EmailMessage per recipient, the file attached to each; no database
  bare    one ready message, the same octets for everybody, over the same fast path; no database
  ours    `outbox.dispatch`: claimed, composed, sent, recorded; counted from the first claim to the last
          recorded outcome. On SQLite (synchronous=FULL), on PostgreSQL, and by two processes at once

Run: python -m bench.dispatch [--letters 10000] [--postgres] [--two] [--memory 100000]
Read the ratios; the absolute figures are the machine's. cpu: letters per second of processor time.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import aiosmtplib
import uvloop

from bench.outbox_world import DOMAINS, PDF, filled, settings
from congvan.acts import outbox
from congvan.acts.composing import Composer
from congvan.house import build, carrier
from congvan.mail.connecting import open_line
from congvan.mail.conversation import Envelope, Timeouts
from congvan.mail.sender import SmtpUrl
from congvan.mail.sink import Sink
from congvan.settings import Settings

CONNECTIONS = 4


@dataclass(frozen=True, slots=True)
class Took:
    """One measured way. peak_kb: resident memory of the sending process at its largest."""

    letters: int
    wall_s: float
    cpu_s: float
    peak_kb: int

    @property
    def rate(self) -> float:
        return self.letters / self.wall_s


def serve(pipe: Connection) -> None:
    """The sink, until the other side hangs up."""

    async def run() -> None:
        async with Sink() as sink:
            pipe.send(sink.port)
            while await asyncio.to_thread(pipe.recv) == "count":
                pipe.send(sink.accepted)

    uvloop.run(run())


# ------------------------------------------------------------------------------------ the ways


def _timed(pipe: Connection, work: Coroutine[Any, Any, int]) -> None:
    """Wait for the start, work, and tell how long it took."""

    async def run() -> tuple[int, float, float]:
        pipe.send("ready")
        await asyncio.to_thread(pipe.recv)
        wall, cpu = time.perf_counter(), time.process_time()
        letters = await work
        return letters, time.perf_counter() - wall, time.process_time() - cpu

    letters, wall_s, cpu_s = uvloop.run(run())
    pipe.send(Took(letters, wall_s, cpu_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))


def ours(pipe: Connection, chosen: Settings, hop_id: str, profile: str = "") -> None:
    """The durable outbox."""
    house = build(chosen)

    async def work() -> int:
        sender = carrier(chosen)
        tally = await outbox.dispatch(house, sender, hop_id)
        assert set(tally) <= {"accepted"}, tally
        return tally["accepted"]

    if profile:
        import cProfile

        with cProfile.Profile() as watch:
            _timed(pipe, work())
        watch.dump_stats(profile)
    else:
        _timed(pipe, work())


def bare(pipe: Connection, chosen: Settings, payload: bytes, count: int) -> None:
    """The same octets for everybody, and nothing else."""
    envelope = Envelope("congvan+token@bql.example", "vanthu@cty.example", dsn_id="a" * 32)
    numbers = iter(range(count))

    async def work() -> int:
        async def line() -> None:
            line = await open_line(SmtpUrl.parse(chosen.smtp_url), None, Timeouts())
            for _ in numbers:
                ended = await line.hand_over(envelope, payload)
                assert ended.verdict == "accepted", ended
            await line.leave()

        await asyncio.gather(*(line() for _ in range(CONNECTIONS)))
        return count

    _timed(pipe, work())


def plain(pipe: Connection, chosen: Settings, subject: str, text: str, html: str, count: int) -> None:
    """What a user would write."""
    numbers = iter(range(count))
    port = SmtpUrl.parse(chosen.smtp_url).port

    def letter(number: int) -> EmailMessage:
        message = EmailMessage()
        message["From"] = "Ban Quản lý Mẫu <congvan@bql.example>"
        message["To"] = f"Công ty TNHH Mẫu {number} <vanthu{number}@cty{number % DOMAINS}.example>"
        message["Subject"] = subject
        message["Message-ID"] = f"<{number}.letter@bql.example>"
        message.set_content(text.replace("Mẫu 0", f"Mẫu {number}"))
        message.add_alternative(html.replace("Mẫu 0", f"Mẫu {number}"), subtype="html")
        message.add_attachment(PDF, maintype="application", subtype="pdf", filename="Công văn số 01.pdf")
        return message

    async def work() -> int:
        async def line() -> None:
            async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) as client:
                for number in numbers:
                    await client.send_message(letter(number))

        await asyncio.gather(*(line() for _ in range(CONNECTIONS)))
        return count

    _timed(pipe, work())


# ------------------------------------------------------------------------------------ the measurement


class Bench:
    """A sink, and processes that send to it."""

    def __init__(self, stack: ExitStack) -> None:
        self._context = multiprocessing.get_context("spawn")
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="congvan-bench-")))
        self._pipe, there = self._context.Pipe()
        self._sink = self._context.Process(target=serve, args=(there,), daemon=True)
        self._sink.start()
        stack.callback(self._end)
        self.port = int(self._pipe.recv())
        self._number = 0

    def _end(self) -> None:
        self._pipe.send("end")
        self._sink.join()

    def accepted(self) -> int:
        """How many messages the sink has taken so far."""
        self._pipe.send("count")
        return int(self._pipe.recv())

    def settings(self, database_url: str = "") -> Settings:
        """A fresh house."""
        self._number += 1
        home = self.folder / str(self._number)
        return settings(home, self.port, database_url, smtp_connections=CONNECTIONS)

    def run(self, way: Any, *arguments: Any, processes: int = 1) -> Took:
        """Start processes, let them go at once, and add up what they did."""
        pipes, workers = [], []
        for _ in range(processes):
            here, there = self._context.Pipe()
            worker = self._context.Process(target=way, args=(there, *arguments))
            worker.start()
            there.close()  # or a worker that dies would be waited for
            pipes.append(here)
            workers.append(worker)
        for pipe in pipes:
            assert pipe.recv() == "ready"
        before = self.accepted()
        for pipe in pipes:
            pipe.send("go")
        took: list[Took] = [pipe.recv() for pipe in pipes]
        for worker in workers:
            worker.join()
        letters = sum(one.letters for one in took)
        assert self.accepted() - before == letters, "the sink counted another number"
        return Took(
            letters, max(one.wall_s for one in took), sum(one.cpu_s for one in took), max(one.peak_kb for one in took)
        )


async def _sample(chosen: Settings) -> tuple[bytes, str, str, str]:
    """One composed message of the hop and its words, as `bare` and `plain` send them."""
    hop_id = await filled(chosen, 1)
    house = build(chosen)
    try:
        works = await outbox.claim(house, hop_id, 1)
        composer = Composer(house)
        item = (await composer.compose(works))[0]
        payload = item.payload if isinstance(item.payload, bytes) else item.payload()
        words = composer.words(works[0])
        return payload, words.subject, words.text, words.html
    finally:
        await house.close()


def _say(name: str, took: Took, against: str = "") -> None:
    cpu = took.letters / took.cpu_s
    print(f"{name:24} {took.rate:7.0f}/s  {cpu:7.0f}/cpu-s  {took.peak_kb // 1024:4d} MB  {against}", flush=True)


@contextmanager
def _database(postgres: bool, bench: Bench) -> Iterator[str]:
    if not postgres:
        yield ""
        return
    from tests.postgres import serve as serve_postgres

    with serve_postgres(bench.folder, durable=True) as url:
        yield url


def measure(bench: Bench, letters: int, *, postgres: bool, two: bool, memory: int, profile: str) -> None:
    """Every way in one run."""
    payload, subject, text, html = asyncio.run(_sample(bench.settings()))
    limit = bench.run(bare, bench.settings(), payload, letters)
    written = bench.run(plain, bench.settings(), subject, text, html, max(letters // 20, 200))
    _say("bare", limit, f"one message of {len(payload) // 1000} kB")
    _say("plain", written)

    def against(took: Took) -> str:
        return f"{took.rate / written.rate:5.1f} x plain  {took.rate / limit.rate:.2f} of bare"

    def durable(name: str, count: int, database_url: str = "", processes: int = 1) -> Took:
        chosen = bench.settings(database_url)
        hop_id = asyncio.run(filled(chosen, count))
        took = bench.run(ours, chosen, hop_id, profile, processes=processes)
        _say(name, took, against(took))
        return took

    small = durable("SQLite", letters)
    if two:
        durable("SQLite, two processes", letters, processes=2)
    if memory:
        large = durable(f"SQLite, {memory}", memory)
        print(f"peak memory {large.peak_kb / small.peak_kb:.2f} x that of {letters}", flush=True)
    if postgres:
        with _database(True, bench) as url:
            durable("PostgreSQL", letters, url)
        if two:
            with _database(True, bench) as url:
                durable("PostgreSQL, two processes", letters, url, processes=2)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--letters", type=int, default=10_000)
    options.add_argument("--postgres", action="store_true")
    options.add_argument("--two", action="store_true")
    options.add_argument("--memory", type=int, default=0, help="letters of the second run for peak memory")
    options.add_argument("--profile", default="", help="where cProfile writes what the outbox did")
    chosen = options.parse_args()
    with ExitStack() as stack:
        measure(
            Bench(stack), chosen.letters, postgres=chosen.postgres, two=chosen.two, memory=chosen.memory,
            profile=chosen.profile,
        )  # fmt: skip


if __name__ == "__main__":
    main()
