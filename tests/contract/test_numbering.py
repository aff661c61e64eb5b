"""Numbers of letters, on SQLite and on PostgreSQL alike: no gap, no double, whoever asks at the same time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from congvan.acts import clerks, numbers
from congvan.acts.numbers import Series
from congvan.clock import HandClock
from congvan.errors import ActRefused
from congvan.house import House
from congvan.letters.press import Press
from congvan.mail.words import Words
from congvan.rules.calendar import Calendars
from congvan.settings import Settings
from congvan.store.database import Store
from congvan.store.schema import migrate
from congvan.store.tables import Campaign, Letter, Number
from tests.conftest import ROOT
from tests.postgres import fresh_database

NOW = datetime(2023, 12, 4, 1, tzinfo=UTC)
SERIES = Series("BQL", "BQL-QHXD", 2023)
ILLUSTRATED = replace(SERIES, year=-2023)


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """Each test on each database."""
    if request.param == "sqlite":
        made = Store(f"sqlite+aiosqlite:///{tmp_path / 'numbers.db'}")
    else:
        made = Store(await fresh_database(request.getfixturevalue("postgres_url")))
    await migrate(made)
    yield made
    assert made.open_transactions == 0
    await made.close()


@pytest.fixture
def house(store: Store, settings: Settings, calendars: Calendars, press: Press) -> House:
    return House(settings, store, HandClock(NOW), calendars, press, Words(ROOT / "templates"), random.Random(1))


async def letters(store: Store, count: int, mode: str = "live") -> list[str]:
    """Letters of one campaign that await their issue."""
    keys = [f"{number:032d}" for number in range(count)]
    async with store.act() as ledger:
        await ledger.add(
            Campaign,
            id="c" * 32, code="C", state="RUNNING", mode=mode, subject="s", urgency="normal", plan={}, cascade={},
            plan_sha256="0" * 64, upstream=[], launched_at=NOW,
        )  # fmt: skip
        rows: list[dict[str, Any]] = [
            {
                "id": key, "campaign_id": "c" * 32, "kind": "board", "issuer": "BQL", "state": "PENDING_ISSUE",
                "symbol": "", "subject": "s", "sheet": {"symbol": "{number}/BQL-QHXD"}, "html": "", "created_at": NOW,
                "awaits": "VP", "awaits_until": NOW,
            }
            for key in keys
        ]  # fmt: skip
        await ledger.add_all(Letter, rows)
    return keys


async def taken(store: Store) -> list[int]:
    async with store.view() as ledger:
        return await ledger.all(select(Number.number).where(Number.letter_id.is_not(None)).order_by(Number.number))


@pytest.mark.parametrize("most", [200, pytest.param(1_000, marks=pytest.mark.gates)])
async def test_letters_at_once_get_the_numbers_from_one_to_the_last(store: Store, most: int) -> None:
    async def one(number: int) -> int:
        async with store.act() as ledger:
            return await numbers.next_number(ledger, SERIES, f"{number:032d}", NOW)

    given = await asyncio.gather(*(one(number) for number in range(most)))
    assert sorted(given) == list(range(1, most + 1))
    assert await taken(store) == list(range(1, most + 1))


async def test_a_letter_that_asks_again_keeps_its_number(store: Store) -> None:
    async def one() -> int:
        async with store.act() as ledger:
            return await numbers.next_number(ledger, SERIES, "l" * 32, NOW)

    assert set(await asyncio.gather(*(one() for _ in range(20)))) == {1}


async def test_a_reserved_block_is_given_out_whole_and_nothing_beyond_it(house: House) -> None:
    await numbers.reserve(house, SERIES, 95, 104, "Nguyễn Thị Văn Thư")
    keys = await letters(house.store, 13)
    given = await asyncio.gather(*(clerks.allocate(house, key, "Lan") for key in keys), return_exceptions=True)
    codes = sorted(one for one in given if isinstance(one, str))
    assert codes == sorted(f"{number:02d}/BQL-QHXD" for number in range(95, 105))
    refused = [one for one in given if isinstance(one, ActRefused)]
    assert len(refused) == 3
    assert "không còn số nào được dành sẵn" in str(refused[0])
    assert await taken(house.store) == list(range(95, 105))


async def test_a_block_over_numbers_that_are_taken_is_refused_whole(house: House) -> None:
    await numbers.reserve(house, SERIES, 10, 19, "Lan")
    with pytest.raises(ActRefused, match="15/BQL-QHXD"):
        await numbers.reserve(house, SERIES, 15, 30, "Lan")
    await numbers.reserve(house, SERIES, 10, 19, "Lan")  # the same block again changes nothing
    await numbers.reserve(house, Series("BQL", "BQL-VP", 2023), 15, 30, "Lan")  # another series
    assert len(await numbers.register(house, "BQL", 2023)) == 26


async def test_two_clerks_who_reserve_the_same_numbers_at_once_do_not_both_get_them(house: House) -> None:
    asked = (numbers.reserve(house, SERIES, first, first + 9, "Lan") for first in (1, 5))
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(one) for one in results].count(ActRefused) == 1


@pytest.mark.parametrize(("first", "last", "by"), [(0, 5, "Lan"), (9, 5, "Lan"), (1, 5000, "Lan"), (1, 5, " ")])
async def test_a_block_that_makes_no_sense_is_refused(house: House, first: int, last: int, by: str) -> None:
    with pytest.raises(ActRefused):
        await numbers.reserve(house, SERIES, first, last, by)


async def test_a_voided_number_stays_in_the_register_with_its_reason_and_is_never_given_again(house: House) -> None:
    await numbers.reserve(house, SERIES, 1, 4, "Lan")
    first, second, third = await letters(house.store, 3)
    assert await clerks.allocate(house, first, "Lan") == "01/BQL-QHXD"
    await numbers.void(house, SERIES, 1, "ghi nhầm trích yếu", "Lan")
    await numbers.void(house, SERIES, 2, "hỏng bản in", "Lan")
    assert await clerks.allocate(house, first, "Lan") == "03/BQL-QHXD", "its own number was voided: it gets another"
    assert await clerks.allocate(house, second, "Lan") == "04/BQL-QHXD"
    with pytest.raises(ActRefused, match="dành sẵn"):
        await clerks.allocate(house, third, "Lan")
    register = await numbers.register(house, "BQL", 2023)
    assert [(one["code"], one["state"]) for one in register] == [
        ("01/BQL-QHXD", "VOIDED"), ("02/BQL-QHXD", "VOIDED"), ("03/BQL-QHXD", "ALLOCATED"),
        ("04/BQL-QHXD", "ALLOCATED"),
    ]  # fmt: skip
    assert register[0]["why"] == "ghi nhầm trích yếu (Lan, 04/12/2023)"


async def test_voiding_needs_a_reason_a_name_and_a_number_of_the_register(house: House) -> None:
    await numbers.reserve(house, SERIES, 1, 1, "Lan")
    for why, by in (("", "Lan"), ("hỏng", " ")):
        with pytest.raises(ActRefused, match="lý do"):
            await numbers.void(house, SERIES, 1, why, by)
    with pytest.raises(ActRefused, match="không có trong sổ"):
        await numbers.void(house, SERIES, 9, "hỏng", "Lan")


async def test_an_entered_number_takes_its_place_in_the_block_and_no_other_letter_gets_it(house: House) -> None:
    await numbers.reserve(house, SERIES, 1, 2, "Lan")
    first, second, third = await letters(house.store, 3)
    async with house.store.act() as ledger:
        await numbers.claim(ledger, SERIES, "1", first, NOW)
        await numbers.claim(ledger, SERIES, "77", third, NOW)  # of the clerk's own register
    assert await clerks.allocate(house, second, "Lan") == "02/BQL-QHXD"
    for number, letter, why in (
        ("1", second, "đã được cấp số 02"), ("2a", second, "đã được cấp số 02"), ("1", third, "văn bản khác"),
    ):  # fmt: skip
        with pytest.raises(ActRefused, match=why):
            async with house.store.act() as ledger:
                await numbers.claim(ledger, SERIES, number, letter, NOW)


async def test_a_number_with_a_letter_behind_it_stands_beside_the_one_without(house: House) -> None:
    first, second = await letters(house.store, 2)
    async with house.store.act() as ledger:
        await numbers.claim(ledger, ILLUSTRATED, "125", first, NOW)
        await numbers.claim(ledger, ILLUSTRATED, "125a", second, NOW)
    assert await taken(house.store) == [125]


async def test_what_a_person_entered_in_an_exercise_the_engine_gives_to_no_other_letter(house: House) -> None:
    first, second = await letters(house.store, 2, "exercise")
    async with house.store.act() as ledger:
        await numbers.claim(ledger, ILLUSTRATED, "1", first, NOW)
    assert await clerks.allocate(house, second, "Lan") == "02/BQL-QHXD"


async def test_a_number_belongs_to_the_book_of_its_year(house: House) -> None:
    next_year = replace(SERIES, year=2024)
    await numbers.reserve(house, SERIES, 3000, 3000, "Lan")
    await numbers.reserve(house, next_year, 5, 5, "Lan")
    (letter,) = await letters(house.store, 1)
    assert await clerks.allocate(house, letter, "Lan") == "3000/BQL-QHXD"
    house.clock.set(datetime(2024, 1, 2, 1, tzinfo=UTC))  # type: ignore[attr-defined]
    with pytest.raises(ActRefused, match="3000/BQL-QHXD của năm 2023"):
        await clerks.allocate(house, letter, "Lan")
    for number in ("3000", "5"):
        with pytest.raises(ActRefused, match="3000/BQL-QHXD của năm 2023"):
            async with house.store.act() as ledger:
                await numbers.claim(ledger, next_year, number, letter, NOW)
    await numbers.void(house, SERIES, 3000, "sang năm mới", "Lan")
    assert await clerks.allocate(house, letter, "Lan") == "05/BQL-QHXD"


async def test_an_exercise_that_goes_on_into_the_new_year_takes_a_new_number_by_itself(house: House) -> None:
    (letter,) = await letters(house.store, 1, "exercise")
    assert await clerks.allocate(house, letter, "Lan") == "01/BQL-QHXD"
    house.clock.set(datetime(2024, 1, 2, 1, tzinfo=UTC))  # type: ignore[attr-defined]
    assert await clerks.allocate(house, letter, "Lan") == "01/BQL-QHXD"
    assert [one["state"] for one in await numbers.register(house, "BQL", -2023)] == ["VOIDED"]


@pytest.mark.parametrize("state", ["REPLACED", "CANCELLED"])
async def test_the_number_of_a_letter_that_was_issued_is_never_voided(house: House, state: str) -> None:
    await numbers.reserve(house, SERIES, 1, 1, "Lan")
    (letter,) = await letters(house.store, 1)
    await clerks.allocate(house, letter, "Lan")
    async with house.store.act() as ledger:
        await ledger.change(Letter, Letter.id == letter, state=state, issued_at=NOW)
    with pytest.raises(ActRefused, match="đã ban hành"):
        await numbers.void(house, SERIES, 1, "hỏng", "Lan")
    assert [one["state"] for one in await numbers.register(house, "BQL", 2023)] == ["ISSUED"]


async def test_the_series_begins_anew_at_midnight_in_vietnam(house: House) -> None:
    keys = await letters(house.store, 3, "exercise")
    clock = house.clock
    assert isinstance(clock, HandClock)
    clock.set(datetime(2023, 12, 31, 16, 59, 59, tzinfo=UTC))
    assert await clerks.allocate(house, keys[0], "Lan") == "01/BQL-QHXD"
    assert await clerks.allocate(house, keys[1], "Lan") == "02/BQL-QHXD"
    clock.set(datetime(2023, 12, 31, 17, 0, 0, tzinfo=UTC))
    assert await clerks.allocate(house, keys[2], "Lan") == "01/BQL-QHXD"
    async with house.store.view() as ledger:
        years = await ledger.all(select(Number.year).order_by(Number.year))
    assert years == [-2024, -2023, -2023], "an illustration takes no number of the real register"


async def test_numbers_below_ten_bear_a_zero_and_larger_ones_none(house: House) -> None:
    await numbers.reserve(house, SERIES, 9, 11, "Lan")
    given = [await clerks.allocate(house, key, "Lan") for key in await letters(house.store, 3)]
    assert given == ["09/BQL-QHXD", "10/BQL-QHXD", "11/BQL-QHXD"]
