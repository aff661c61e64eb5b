"""What all tests share: a house on a real database, a clock that the test sets by hand, a carrier in memory."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time
from email.message import EmailMessage
from email.parser import BytesHeaderParser, BytesParser
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from congvan.acts import hops, outbox, waking
from congvan.almanac import build as build_calendars
from congvan.almanac import read_calendar_file
from congvan.clock import HandClock
from congvan.house import House
from congvan.letters.press import Press
from congvan.mail.outgoing import Outcome, Outgoing
from congvan.mail.words import Words
from congvan.rules.calendar import Calendars, instant
from congvan.settings import Settings
from congvan.store import database
from congvan.store.database import Store
from tests.locks import locked_in_order

ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_finish() -> None:
    """What has been loaded by now stays: the collector need not go through it again and again."""
    gc.collect()
    gc.freeze()


async def _connected() -> AsyncEngine:
    """An engine whose dialect has learned on a first connection what it deals with."""
    store = Store("sqlite+aiosqlite:///:memory:")
    async with store.view() as ledger:
        await ledger.session.connection()
    await store.close()
    return store.engine


@pytest.fixture(scope="session", autouse=True)
def statements_compiled_once() -> Iterator[None]:
    """Nearly every test has a SQLite store of its own; what SQLAlchemy has compiled for one serves the next.

    It is kept by dialect and statement, and belongs to one engine otherwise.
    """
    model = asyncio.run(_connected()).sync_engine
    alone = database._sqlite

    def sharing(url: str, options: dict[str, Any], *, in_place: bool) -> AsyncEngine:
        engine = alone(url, options, in_place=in_place)
        engine.sync_engine.dialect, engine.sync_engine._compiled_cache = model.dialect, model._compiled_cache
        return engine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "_sqlite", sharing)
        yield


@pytest.fixture(scope="session")
def calendars() -> Calendars:
    """The calendars as the repository ships them."""
    return build_calendars(read_calendar_file(ROOT / "config" / "calendar.yaml"))


@pytest.fixture(scope="session")
def press() -> Press:
    """The real typesetter; one for all tests, since it keeps the fonts."""
    return Press(ROOT / "templates" / "letters")


@pytest.fixture(scope="session")
def words() -> Words:
    """The words of all mails; one for all tests, since it keeps the compiled templates."""
    return Words(ROOT / "templates")


def text_of(mail: EmailMessage, kind: str = "plain") -> str:
    """What one part of a mail says, the plain or the html one, on one line."""
    body = mail.get_body((kind,))
    assert body is not None, "every mail has both"
    return " ".join(str(body.get_content()).split())


@dataclass
class Postbox:
    """A carrier in memory. `says` decides on each message; everything is accepted unless it says otherwise."""

    says: Callable[[Outgoing], Outcome | None] = lambda item: None
    #: (recipient, bytes of the message) in order.
    taken: list[tuple[str, bytes]] = field(default_factory=list)
    _read: dict[int, EmailMessage] = field(default_factory=dict)

    async def send(self, batch: Iterable[Outgoing]) -> AsyncGenerator[Outcome, None]:
        """One outcome for each message."""
        for item in batch:
            if item.witness is not None:
                item.witness.handing_over(item.key)
            outcome = self.says(item)
            if outcome is None:
                payload = item.payload() if callable(item.payload) else item.payload
                self.taken.append((item.rcpt_to, payload[: -len(b".\r\n")]))
                outcome = Outcome(item.key, "accepted", 250, "2.0.0 Ok")
            if item.witness is not None:
                item.witness.ended(outcome)
            yield outcome

    @property
    def sent(self) -> list[tuple[str, EmailMessage]]:
        """(recipient, message) in order."""
        return [(to, self._message(number)) for number, (to, _) in enumerate(self.taken)]

    def _message(self, number: int) -> EmailMessage:
        """Read once, and only if somebody asks: it takes longer than all that the engine does for a message."""
        if number not in self._read:
            message = BytesParser(policy=default).parsebytes(self.taken[number][1])
            assert isinstance(message, EmailMessage)
            self._read[number] = message
        return self._read[number]

    def to(self, address: str) -> list[EmailMessage]:
        """What one mailbox got, in order."""
        return [self._message(number) for number, (to, _) in enumerate(self.taken) if to == address]

    def ids(self) -> Counter[str]:
        """How often each Message-ID came."""
        return Counter(str(BytesHeaderParser().parsebytes(data)["Message-ID"]) for _, data in self.taken)


async def turned(house: House, postbox: Postbox | None = None) -> Postbox:
    """Every hop that is due does what is due, with a mail server that takes everything; what it took."""
    taking = Postbox() if postbox is None else postbox
    async with house.store.view() as ledger:
        due = await waking.due_hops(ledger, await house.clock.now())
    for hop in due:
        lease = await hops.turn(house, hop.id)
        assert lease is not None
        await outbox.dispatch(house, taking, hop.id)
        await hops.rest(house, lease)
        await hops.release(house, lease)
    return taking


@pytest.fixture
def postbox() -> Postbox:
    """A mail server that takes everything."""
    return Postbox()


@pytest.fixture
def clock() -> HandClock:
    """Friday 01/12/2023, 08:00 in Vietnam."""
    return HandClock(instant(date(2023, 12, 1), time(8)))


def at(day: str, hour: str = "08:00") -> datetime:
    """An instant by the clock on a Vietnamese wall: at("2023-12-08", "17:00")."""
    return instant(date.fromisoformat(day), time.fromisoformat(hour))


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that is made once for all workers of a run: by the one that needs it first, while the others wait."""
    base = factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, half = base / name, base / f"{name}-half"
    with (base / f"{name}-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            shutil.rmtree(half, ignore_errors=True)
            half.mkdir()
            make(half)
            half.rename(folder)
    return folder


async def _make(file: Path) -> None:
    made = Store(f"sqlite+aiosqlite:///{file}")
    await made.create_tables()
    await made.close()


@pytest.fixture(scope="session")
def present_schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the present schema and no row; copied for every test."""
    made = once(tmp_path_factory, "schema", lambda folder: asyncio.run(_make(folder / "congvan.db")))
    return made / "congvan.db"


@pytest.fixture
async def store(tmp_path: Path, present_schema: Path) -> AsyncIterator[Store]:
    """A SQLite file with the present schema, in which everybody locks in order; no connection may be left out at the
    end."""
    shutil.copy(present_schema, tmp_path / "congvan.db")
    made = locked_in_order(Store(f"sqlite+aiosqlite:///{tmp_path / 'congvan.db'}"))
    yield made
    assert made.open_transactions == 0, "a transaction was left open"
    await made.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a house under the test's own folder."""
    return Settings(home=tmp_path, secret_keys=("test-key-" + "x" * 32,), _env_file=None)


@pytest.fixture
def house(
    settings: Settings, store: Store, clock: HandClock, calendars: Calendars, press: Press, words: Words
) -> House:
    """A house with real parts, but for the clock."""
    return House(
        settings=settings,
        store=store,
        clock=clock,
        calendars=calendars,
        press=press,
        words=words,
        random=random.Random(1),
    )


# ------------------------------------------------------------------------------------ PostgreSQL


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An empty PostgreSQL of this test process: CONGVAN_TEST_DATABASE_URL, else the packaged server.

    Never started as root: PostgreSQL refuses that, so root hands it to an ordinary user first.
    """
    given = os.environ.get("CONGVAN_TEST_DATABASE_URL")
    if given:
        yield given
        return
    from tests.postgres import serve

    with serve(tmp_path_factory.mktemp("postgres")) as url:
        yield url


def find_browser() -> str | None:
    """Where a Chromium is: CONGVAN_BROWSER, else on the PATH."""
    named = os.environ.get("CONGVAN_BROWSER")
    return named or shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run this interpreter; its output as text."""
    return subprocess.run(
        [sys.executable, *arguments], env=os.environ | environment, capture_output=True, text=True, check=False
    )
