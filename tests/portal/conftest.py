"""The portal of the small campaign, with the same letters for every test."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from argon2 import PasswordHasher
from playwright.async_api import Browser, async_playwright

from congvan.acts import accounts
from congvan.clock import HandClock
from congvan.house import House
from congvan.portal.app import app
from congvan.portal.throttle import Allowance
from congvan.rules.records import CampaignPlan
from tests.conftest import once
from tests.portal.browser import listening
from tests.portal.office_world import Clerk, account, sign_in
from tests.portal.world import BASE, Desk, asking, build_house, pages, run_campaign


@pytest.fixture(autouse=True)
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same hash with little work: a test signs in again and again."""
    monkeypatch.setattr(accounts, "_hasher", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    accounts._nobodys.cache_clear()


@pytest.fixture(autouse=True)
def compiled_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same pages, their templates compiled once for all tests."""
    monkeypatch.setattr("congvan.portal.app.Pages", pages)


def _run(folder: Path, plan: CampaignPlan | None) -> None:
    asyncio.run(run_campaign(f"sqlite+aiosqlite:///{folder / 'congvan.db'}", folder, plan))


@pytest.fixture(scope="session")
def campaign_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of the campaign after the Board's letter went out; copied for every test."""
    return once(tmp_path_factory, "campaign", lambda folder: _run(folder, None)) / "congvan.db"


@pytest.fixture(scope="session")
def report_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, of a plan that asks every tenant for a report with fields."""
    return once(tmp_path_factory, "reporting", lambda folder: _run(folder, asking())) / "congvan.db"


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Path:
    """The campaign's database; for a module that says `CAMPAIGN = "report_file"`, the other one's."""
    made: Path = request.getfixturevalue(getattr(request.module, "CAMPAIGN", "campaign_file"))
    return made


@pytest.fixture
async def house(database: Path, tmp_path: Path) -> AsyncIterator[House]:
    path = tmp_path / "congvan.db"
    shutil.copy(database, path)
    house = build_house(f"sqlite+aiosqlite:///{path}", tmp_path)
    assert isinstance(house.clock, HandClock)
    house.clock.forward(hours=2)
    yield house
    assert house.store.open_transactions == 0
    await house.close()


@pytest.fixture
def desk(house: House) -> Desk:
    return Desk(house)


@pytest.fixture
async def web(house: House) -> AsyncIterator[httpx.AsyncClient]:
    """The portal in this process, with room for many requests."""
    transport = httpx.ASGITransport(app=app(house, allowance=Allowance.unlimited()))
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        yield client


@pytest.fixture
async def clerk(house: House, web: httpx.AsyncClient) -> Clerk:
    """Somebody with the role of an operator, signed in."""
    await account(house)
    assert (await sign_in(web)).status_code == 303
    return Clerk(web)


@pytest.fixture
async def leader(house: House) -> AsyncIterator[Clerk]:
    """A leader, in a browser of their own."""
    await account(house, "dung", "leader", "dung@bql.example")
    transport = httpx.ASGITransport(app=app(house, allowance=Allowance.unlimited()))
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        assert (await sign_in(client, "dung")).status_code == 303
        yield Clerk(client)


@pytest.fixture
async def viewer(house: House) -> AsyncIterator[Clerk]:
    """Somebody who may only look."""
    await account(house, "minh", "viewer")
    transport = httpx.ASGITransport(app=app(house, allowance=Allowance.unlimited()))
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        assert (await sign_in(client, "minh")).status_code == 303
        yield Clerk(client)


@pytest.fixture(scope="session")
def chromium_at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Chromium that runs as long as the tests do: to start it takes longer than most of them."""
    with listening(tmp_path_factory.mktemp("chromium")) as address:
        yield address


@pytest.fixture
async def chromium(chromium_at: str) -> AsyncIterator[Browser]:
    """The browser, without a window; whatever a test opened is closed with it."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.connect_over_cdp(chromium_at)
        yield browser
        await browser.close()
