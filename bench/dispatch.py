"""How fast the durable outbox sends: the quick look while one works on it, and what the measure runs.

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
from multiprocessing.connection import Connection

from bench.harness import CONNECTIONS, Bench, Took, bench, timed
from bench.outbox_world import PDF, filled
from bench.peers import bare_limit, hand_written
from bench.peers.letter import Letter
from congvan.acts import outbox
from congvan.acts.composing import Composer
from congvan.house import build, carrier
from congvan.settings import Settings


def ours(pipe: Connection, chosen: Settings, hop_id: str, profile: str = "") -> None:
    """The durable outbox."""
    house = build(chosen, gives_way=True)

    async def work() -> int:
        sender = carrier(chosen)
        tally = await outbox.dispatch(house, sender, hop_id)
        await sender.aclose()
        assert set(tally) <= {"accepted"}, tally
        return tally["accepted"]

    if profile:
        import cProfile

        with cProfile.Profile() as watch:
            timed(pipe, work())
        watch.dump_stats(profile)
    else:
        timed(pipe, work())


def sample(chosen: Settings) -> tuple[bytes, Letter]:
    """One composed message of the hop, and its words: what the ways beside ours send."""

    async def made() -> tuple[bytes, Letter]:
        hop_id = await filled(chosen, 1)
        house = build(chosen)
        try:
            works = await outbox.claim(house, hop_id, 1)
            composer = Composer(house)
            item = (await composer.compose(works))[0]
            payload = item.payload if isinstance(item.payload, bytes) else item.payload()
            words = composer.words(works[0])
            return payload, Letter(words.subject, words.text, words.html, chosen.home / "letter.pdf")
        finally:
            await house.close()

    payload, letter = asyncio.run(made())
    letter.pdf.write_bytes(PDF)
    return payload, letter


def bare(on: Bench, payload: bytes, letters: int) -> Took:
    """The limit of the wire."""
    return on.run(bare_limit.limit, payload, on.port, CONNECTIONS, letters)


def plain(on: Bench, letter: Letter, letters: int) -> Took:
    """The hand-written script; it is slow, so it sends fewer."""
    return on.run(hand_written.script, letter, on.port, CONNECTIONS, written(letters))


def written(letters: int) -> int:
    """How many letters the hand-written script sends beside so many of ours."""
    return max(letters // 20, min(letters, 200))


def durable(on: Bench, letters: int, *, postgres: bool = False, processes: int = 1, profile: str = "") -> Took:
    """The outbox on a fresh database."""
    if postgres:
        chosen = on.settings(on.postgres())
        hop_id = asyncio.run(filled(chosen, letters))
    else:
        chosen, hop_id = on.filled(letters)
    return on.run(ours, chosen, hop_id, profile, processes=processes)


def _say(name: str, took: Took, against: str = "") -> None:
    cpu = took.letters / took.cpu_s
    print(f"{name:24} {took.rate:7.0f}/s  {cpu:7.0f}/cpu-s  {took.peak_kb // 1024:4d} MB  {against}", flush=True)


def look(on: Bench, letters: int, *, postgres: bool, two: bool, memory: int, profile: str) -> None:
    """Every way in one run."""
    payload, letter = sample(on.settings())
    limit, written = bare(on, payload, letters), plain(on, letter, letters)
    _say("bare", limit, f"one message of {len(payload) // 1000} kB")
    _say("plain", written)

    def say(name: str, took: Took) -> Took:
        _say(name, took, f"{took.rate / written.rate:5.1f} x plain  {took.rate / limit.rate:.2f} of bare")
        return took

    small = say("SQLite", durable(on, letters, profile=profile))
    if two:
        say("SQLite, two processes", durable(on, letters, processes=2))
    if memory:
        large = say(f"SQLite, {memory}", durable(on, memory))
        print(f"peak memory {large.peak_kb / small.peak_kb:.2f} x that of {letters}", flush=True)
    if postgres:
        say("PostgreSQL", durable(on, letters, postgres=True, profile=profile))
        if two:
            say("PostgreSQL, two processes", durable(on, letters, postgres=True, processes=2))


def main() -> None:
    """What the command line says."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--letters", type=int, default=10_000)
    options.add_argument("--postgres", action="store_true")
    options.add_argument("--two", action="store_true")
    options.add_argument("--memory", type=int, default=0, help="letters of the second run for peak memory")
    options.add_argument("--profile", default="", help="where cProfile writes what the outbox did")
    chosen = options.parse_args()
    with bench() as on:
        look(
            on, chosen.letters, postgres=chosen.postgres, two=chosen.two, memory=chosen.memory,
            profile=chosen.profile,
        )  # fmt: skip


if __name__ == "__main__":
    main()
