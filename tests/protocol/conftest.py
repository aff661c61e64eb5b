"""The town of the stories, before its first campaign and after the Board's letter went out."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from congvan.clock import HandClock
from congvan.house import House
from congvan.letters.press import Press
from congvan.mail.words import Words
from congvan.rules.calendar import Calendars
from congvan.rules.records import Audience
from congvan.settings import Settings
from congvan.store.database import Store
from tests.conftest import Postbox, at, once
from tests.locks import locked_in_order
from tests.protocol.world import Town, to

Builder = Callable[[Path], House]


def hasty(store: Store) -> Store:
    """The same store without its syncs to disk: a story is killed, but its power is never cut."""

    @event.listens_for(store.engine.sync_engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA synchronous=OFF")

    return store


@pytest.fixture(scope="session")
def build(calendars: Calendars, press: Press, words: Words) -> Builder:
    """Another house on the database of a folder: what starts after a kill."""
    made = 0

    def builder(folder: Path) -> House:
        nonlocal made
        made += 1
        return House(
            settings=Settings(home=folder, secret_keys=("test-key-" + "x" * 32,), _env_file=None),  # type: ignore[arg-type]
            store=locked_in_order(hasty(Store(f"sqlite+aiosqlite:///{folder / 'congvan.db'}"))),
            clock=HandClock(at("2023-12-01")),
            calendars=calendars,
            press=press,
            words=words,
            # No two houses of a test may draw the same ids, nor one of them those of the files that all tests share.
            random=random.Random(f"{folder.name} {made}"),
        )

    return builder


async def _open(build: Builder, present_schema: Path, folder: Path, audience: Audience) -> None:
    shutil.copy(present_schema, folder)
    town = Town(build(folder), Postbox())
    try:
        await town.launch(audience=audience)
        await town.work()
        await town.say("BQL")
        await town.work()
    finally:
        await town.house.close()


@pytest.fixture(scope="session")
def opened_file(tmp_path_factory: pytest.TempPathFactory, build: Builder, present_schema: Path) -> Path:
    """The campaign in an exercise after the Board's letter went out on Friday 01/12/2023."""
    made = once(
        tmp_path_factory, "opened", lambda folder: asyncio.run(_open(build, present_schema, folder, Audience()))
    )
    return made / "congvan.db"


@pytest.fixture(scope="session")
def outside_file(tmp_path_factory: pytest.TempPathFactory, build: Builder, present_schema: Path) -> Path:
    """The same for one tenant outside any park: what happens to one recipient."""
    made = once(
        tmp_path_factory, "outside", lambda folder: asyncio.run(_open(build, present_schema, folder, to("T-OUT")))
    )
    return made / "congvan.db"


async def _town(file: Path, folder: Path, build: Builder) -> AsyncIterator[Town]:
    shutil.copy(file, folder / "congvan.db")
    town = Town(build(folder), Postbox())
    yield town
    assert town.house.store.open_transactions == 0, "a transaction was left open"
    await town.house.close()


@pytest.fixture
async def town(present_schema: Path, tmp_path: Path, build: Builder) -> AsyncIterator[Town]:
    """Friday 01/12/2023, 08:00; nothing has been launched."""
    async for one in _town(present_schema, tmp_path, build):
        yield one


@pytest.fixture
async def opened(opened_file: Path, tmp_path: Path, build: Builder) -> AsyncIterator[Town]:
    """The same morning: investors, the tenant outside and the units have the Board's letter, due on 08/12 at 17:00."""
    async for one in _town(opened_file, tmp_path, build):
        one.campaign = (await one.campaigns())[0]
        yield one


@pytest.fixture
async def outside(outside_file: Path, tmp_path: Path, build: Builder) -> AsyncIterator[Town]:
    """The same morning in a campaign that goes to one tenant outside any park, and to nobody else below the Board."""
    async for one in _town(outside_file, tmp_path, build):
        one.campaign = (await one.campaigns())[0]
        yield one
