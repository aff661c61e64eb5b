"""Whose turn it is to write to SQLite: between real processes, one of which may be killed at any moment."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from congvan.store import database, driver, queueing
from congvan.store.database import Store
from congvan.store.queueing import Queue

#: Writes without pause, each time in a turn of its own.
_BUSY = """
import asyncio, sqlite3, sys
from pathlib import Path
from congvan.store.queueing import Queue

async def run(file):
    queue, told = Queue(Path(file), 30), False
    connection = sqlite3.connect(file, isolation_level=None, timeout=30)
    while True:
        async with queue.turn():
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("UPDATE counted SET number = number + 1")
            connection.execute("COMMIT")
        if not told:
            print("ready", flush=True)
            told = True

asyncio.run(run(sys.argv[1]))
"""
#: A wait that is over long before patience is, where the queue moves on; seconds.
_LONG_S = 10
#: Takes the turn and a transaction, and keeps both until it hears something.
_HOLDS = """
import asyncio, sqlite3, sys
from pathlib import Path
from congvan.store.queueing import Queue

async def run(file):
    connection = sqlite3.connect(file, isolation_level=None)
    async with Queue(Path(file), 30).turn():
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE counted SET number = 1000")
        print("ready", flush=True)
        sys.stdin.readline()
        connection.execute("ROLLBACK")

asyncio.run(run(sys.argv[1]))
"""


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """A file with one number in it."""
    made = Store(f"sqlite+aiosqlite:///{tmp_path / 'queue.db'}")
    async with made.act() as ledger:
        await ledger.session.execute(text("CREATE TABLE counted (number INTEGER)"))
        await ledger.session.execute(text("INSERT INTO counted VALUES (0)"))
    yield made
    assert made.open_transactions == 0
    await made.close()


@pytest.fixture
async def sending(store: Store) -> AsyncIterator[Store]:
    """The same in a process that sends mail, with its connection made."""
    made = Store(str(store.url), gives_way=True)
    await _count(made)
    yield made
    await made.close()


@contextmanager
def _beside(store: Store, program: str) -> Iterator[subprocess.Popen[str]]:
    """Another process, once it is ready; killed at the end."""
    command = [sys.executable, "-c", program, str(store.url.database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


async def _count(store: Store) -> int:
    async with store.view() as ledger:
        return int(await ledger.session.scalar(text("SELECT number FROM counted")) or 0)


async def _write(store: Store) -> int:
    """The number as the transaction finds it."""
    async with store.act() as ledger:
        found = int(await ledger.session.scalar(text("SELECT number FROM counted")) or 0)
        await ledger.session.execute(text("UPDATE counted SET number = number + 1"))
        return found


async def test_who_waits_to_write_is_next_though_another_process_writes_without_pause(store: Store) -> None:
    with _beside(store, _BUSY):
        overtaken = []
        for _ in range(40):
            before = await _count(store)
            overtaken.append(await _write(store) - before)
    assert await _count(store) > 40, "the other process did not write meanwhile"
    # Some pass between the look and the place in the queue; SQLite alone lets thousands pass.
    assert sum(overtaken) <= 400


async def test_whoever_answers_goes_before_a_batch_that_came_earlier(store: Store) -> None:
    # Two stores of one file wait for each other as two processes do.
    other, order = Store(str(store.url), gives_way=True), list[str]()

    async def write(to: Store, who: str) -> None:
        async with to.act():
            order.append(who)

    async with store.act():
        batch = asyncio.create_task(write(other, "batch"))
        await _until(lambda: other.pressed)
        answer = asyncio.create_task(write(store, "answer"))
        await asyncio.sleep(0)
    await asyncio.gather(batch, answer)
    assert order == ["answer", "batch"]
    await other.close()


async def test_a_batch_does_not_wait_for_ever_for_those_who_answer(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queueing, "_POLITE_S", 0.01)
    other = Store(str(store.url), gives_way=True)
    async with _queue(store)._bell.rung(), asyncio.timeout(_LONG_S), other.act():
        assert other.pressed, "it had not listened"
    await other.close()


async def test_where_nobody_answers_nothing_presses(store: Store) -> None:
    other = Store(str(store.url), gives_way=True)
    async with other.act():
        pass
    assert not other.pressed
    await other.close()


async def test_whoever_gives_way_moves_the_log_to_the_file_while_others_may_write(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_BATCHES_A_CHECKPOINT", 2)
    other, moved = Store(str(store.url), gives_way=True), list[int]()

    async def checkpoint() -> None:
        async with asyncio.timeout(_LONG_S):
            await _write(store)
        await Store._checkpoint(other)
        moved.append(_in_the_file(store))

    monkeypatch.setattr(other, "_checkpoint", checkpoint)
    for _ in range(4):
        await _write(other)
    assert moved == [3, 6]
    await other.close()


async def test_whoever_answers_moves_the_log_too_but_keeps_nobody_waiting_for_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_ANSWERS_A_CHECKPOINT", 2)
    answering, go = Store(str(store.url)), asyncio.Event()

    async def checkpoint() -> None:
        await go.wait()
        await Store._checkpoint(answering)

    monkeypatch.setattr(answering, "_checkpoint", checkpoint)
    async with asyncio.timeout(_LONG_S):
        for _ in range(5):
            await _write(answering)
        go.set()
        await answering.close()
    assert _in_the_file(store) == 5


def _in_the_file(store: Store) -> int:
    """The number as the database's own file has it, without the log."""
    with closing(sqlite3.connect(f"file:{store.url.database}?immutable=1", uri=True)) as connection:
        return int(connection.execute("SELECT number FROM counted").fetchone()[0])


async def test_a_log_that_cannot_be_moved_does_not_make_a_committed_act_fail(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_BATCHES_A_CHECKPOINT", 1)
    other = Store(str(store.url), gives_way=True)

    async def full(*_arguments: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    async with other.act():
        monkeypatch.setattr(driver.Connection, "aside", full)
    monkeypatch.undo()
    assert await _write(store) == 0
    await other.close()


async def test_a_process_that_sends_mail_asks_no_thread_for_what_needs_not_wait(
    sending: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each statement of a batch waited for its busy loop, with the database held meanwhile."""
    aside = _watched(monkeypatch)
    assert await _write(sending) == 0
    assert aside == []


async def test_its_loop_goes_on_while_it_waits_for_a_writer_who_does_not_queue(
    sending: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    aside = _watched(monkeypatch)
    with _stranger(sending) as stranger:
        stranger.execute("UPDATE counted SET number = 7")
        writing = asyncio.create_task(_write(sending))
        await _until(lambda: bool(aside))
        assert not writing.done()
        stranger.execute("COMMIT")
    assert await asyncio.wait_for(writing, _LONG_S) == 7


async def test_who_is_cut_off_while_it_waits_leaves_no_transaction_open(
    sending: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The thread begins it in the end, when nobody waits for it any more."""
    aside = _watched(monkeypatch)
    with _stranger(sending) as stranger:
        writing = asyncio.create_task(_write(sending))
        await _until(lambda: bool(aside))
        writing.cancel()
        await _until(lambda: len(aside) > 1 or writing.done())
        stranger.execute("COMMIT")
        with pytest.raises(asyncio.CancelledError):
            await writing
        stranger.execute("BEGIN IMMEDIATE")
        stranger.execute("COMMIT")
    assert await asyncio.wait_for(_write(sending), _LONG_S) == 0
    assert caplog.records == [], "its connection was closed, as it should be"


@contextmanager
def _stranger(store: Store) -> Iterator[sqlite3.Connection]:
    """Somebody who writes without a place in the queue, with a transaction begun."""
    with closing(sqlite3.connect(str(store.url.database), isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


def _watched(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What is left to a connection's thread from now on."""
    aside: list[object] = []
    go = driver.Connection.aside

    async def watched(self: driver.Connection, work: Callable[[], Any]) -> Any:
        aside.append(work)
        return await go(self, work)

    monkeypatch.setattr(driver.Connection, "aside", watched)
    return aside


async def test_a_killed_writer_leaves_its_turn_to_the_next(store: Store) -> None:
    with _beside(store, _HOLDS) as holder:
        waiting = asyncio.create_task(_write(store))
        await asyncio.sleep(0)
        holder.kill()
        assert await asyncio.wait_for(waiting, _LONG_S) == 0


async def test_who_gives_up_waiting_takes_no_turn_from_anybody(store: Store) -> None:
    queue = _queue(store)
    with _beside(store, _HOLDS) as holder:
        given_up = [asyncio.create_task(_write(store)) for _ in range(3)]
        await _until(lambda: queue._thread is not None)
        for task in given_up:
            task.cancel()
        await asyncio.gather(*given_up, return_exceptions=True)
        patient = asyncio.create_task(_write(store))
        assert await _count(store) == 0, "views wait for nobody"
        assert holder.stdin is not None
        holder.stdin.write("\n")
        holder.stdin.flush()
        assert await asyncio.wait_for(patient, _LONG_S) == 0
    assert await _write(store) == 1


def _queue(store: Store) -> Queue:
    assert store._queue is not None
    return store._queue


async def _until(seen: Callable[[], bool]) -> None:
    async with asyncio.timeout(_LONG_S):
        while not seen():  # noqa: ASYNC110 - nothing tells when a thread of the other side has begun to wait
            await asyncio.sleep(0)


async def test_a_writer_that_stands_still_is_not_waited_for_beyond_patience(store: Store) -> None:
    queue = _queue(store)
    queue._patience_s = 0.01
    with _beside(store, _HOLDS) as holder:
        waiting = asyncio.create_task(_write(store))
        await _until(lambda: queue._thread is not None and queue._place is None)
        # It asks SQLite itself now, whose own lock keeps it out until the other has rolled back.
        assert not waiting.done()
        assert holder.stdin is not None
        holder.stdin.write("\n")
        holder.stdin.flush()
        assert await waiting == 0


async def test_where_no_file_can_lie_beside_the_database_sqlites_own_lock_does(store: Store) -> None:
    os.unlink(f"{store.url.database}-desk")
    os.mkdir(f"{store.url.database}-desk", mode=0o700)
    again = Store(str(store.url))
    assert await _write(again) == 0
    await again.close()
    assert await _count(store) == 1
