"""What tells the mails of one office apart fits its column on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from congvan.acts import reconciling
from congvan.house import House
from congvan.rules.records import Contact
from congvan.store.database import Store
from congvan.store.schema import migrate
from congvan.store.tables import Message
from tests.postgres import fresh_database
from tests.protocol.test_issue import go_live
from tests.protocol.test_stories_mailboxes import refuses
from tests.protocol.world import Town, register


@pytest.fixture(params=["sqlite", "postgresql"])
async def placed(request: pytest.FixtureRequest, tmp_path: Path, house: House) -> AsyncIterator[House]:
    """A house on each database, with the tables that the migrations make."""
    if request.param == "sqlite":
        store = Store(f"sqlite+aiosqlite:///{tmp_path / 'steps.db'}")
    else:
        store = Store(await fresh_database(request.getfixturevalue("postgres_url")))
    await migrate(store)
    yield replace(house, store=store)
    assert store.open_transactions == 0
    await store.close()


async def test_a_reminder_to_issue_that_one_mailbox_refuses_goes_to_the_next(placed: House, tmp_path: Path) -> None:
    boxes = (Contact(email="vp@vp.example"), Contact(email="hai@vp.example", order=2))
    town = Town(placed, refuses("vp@vp.example"))
    letter = await go_live(town, tmp_path, people=register(VP={"contacts": boxes}))
    await town.until("2023-12-05", "09:00")
    wanted = await town.all(Message, Message.kind == "issue_wanted")
    assert {one.step: (one.address, one.state) for one in wanted} == {
        f"{letter.id}-1": ("vp@vp.example", "REFUSED"),
        f"{letter.id}-1_again1": ("hai@vp.example", "SENT"),
    }
    assert reconciling.files(reconciling.folder(placed)) == []
