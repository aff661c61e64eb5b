"""A small campaign that really ran: the letter of the demo to two investors, their tenants, one outside, the units."""

from __future__ import annotations

import random
import re
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from html import unescape
from pathlib import Path

import httpx
from pydantic import SecretStr
from sqlalchemy import select

from congvan.acts import confirmations, hops, launches, outbox, registry, waking
from congvan.almanac import build as build_calendars
from congvan.almanac import read_calendar_file
from congvan.clock import HandClock
from congvan.house import House
from congvan.letters.press import Press
from congvan.links import Link
from congvan.mail.outgoing import Outcome, Outgoing
from congvan.mail.words import Words
from congvan.portal.pages import Pages
from congvan.reading import read_cascade, read_plan
from congvan.registry import read_register
from congvan.rules.calendar import Calendars
from congvan.rules.protocol import Event
from congvan.rules.records import CampaignPlan, Organisation, Policy, Register
from congvan.settings import Settings
from congvan.store.database import Store
from congvan.store.tables import Delivery, EventRow

START = datetime(2023, 12, 1, 1, 0, tzinfo=UTC)
INVESTORS = ("CDT-VSIP", "CDT-NAMDINHVU")
KEY = "a-key-for-tests-that-opens-nothing-else"
BASE = "http://127.0.0.1:4280"


class Postbox:
    """Takes every message and says so."""

    async def send(self, batch: Iterable[Outgoing]) -> AsyncGenerator[Outcome, None]:
        for one in batch:
            yield Outcome(one.key, "accepted", 250, "ok")


@cache
def calendars(path: Path) -> Calendars:
    return build_calendars(read_calendar_file(path))


press = cache(Press)
words = cache(Words)
pages = cache(Pages)


def build_house(url: str, home: Path, portal_url: str = BASE, keys: tuple[str, ...] = (KEY,)) -> House:
    settings = Settings(
        home=home, portal_url=portal_url, secret_keys=tuple(SecretStr(key) for key in keys), _env_file=None
    )
    return House(
        settings=settings,
        store=Store(url),
        clock=HandClock(START),
        calendars=calendars(settings.config / "calendar.yaml"),
        press=press(settings.templates / "letters"),
        words=words(settings.templates),
        random=random.Random(11),
    )


def small_register(settings: Settings) -> Register:
    """Two investors with a handful of tenants, chemical ones among them, two tenants outside, all units."""
    whole = read_register([settings.config / "registry" / "hai-phong-2023"])
    parks = {park.code for park in whole.parks if park.investor in INVESTORS}
    tenants = [one for one in whole.organisations if one.level == "tenant"]
    inside = [one for one in tenants if one.parks and set(one.parks) <= parks]
    kept = [*_some(inside, chemical=True, number=3), *_some(inside, chemical=False, number=6)]
    kept += _some([one for one in tenants if not one.parks], chemical=False, number=2)
    kept += [one for one in whole.organisations if one.level not in ("tenant", "investor") or one.code in INVESTORS]
    return Register(organisations=tuple(kept), parks=tuple(park for park in whole.parks if park.code in parks))


def _some(found: list[Organisation], *, chemical: bool, number: int) -> list[Organisation]:
    return [one for one in found if any("chemical" in tag for tag in one.segments) is chemical][:number]


async def turn_all(house: House) -> None:
    """Turn whatever is due until nothing is."""
    for _ in range(6):
        now = await house.clock.now()
        async with house.store.view() as ledger:
            due = await waking.due_hops(ledger, now)
        if not due:
            return
        for hop in due:
            lease = await hops.turn(house, hop.id)
            assert lease is not None
            await outbox.dispatch(house, Postbox(), hop.id)
            await hops.rest(house, lease)
            await hops.release(house, lease)


def asking() -> CampaignPlan:
    """The plan of the demo, with a report of every tenant: a field of each kind."""
    plan = read_plan(Settings(_env_file=None).config / "campaigns" / "8184.yaml")[0]
    choices = [{"key": "fire", "title": "Cháy", "title_en": "Fire"}, {"key": "spill", "title": "Tràn đổ"}]
    questions = [
        {"key": "drills", "title": "Số cuộc diễn tập", "title_en": "Drills held", "kind": "number", "unit": "cuộc",
         "unit_en": "drills", "min": 0, "max": 100},
        {"key": "held", "title": "Ngày diễn tập gần nhất", "title_en": "Last drill on", "kind": "date",
         "required": False, "max": "2023-12-31"},
        {"key": "about", "title": "Tình huống", "title_en": "Situation", "kind": "choice", "choices": choices},
        {"key": "plan", "title": "Đã có phương án được duyệt", "title_en": "Approved plan exists", "kind": "yes_no"},
        {"key": "words", "title": "Khó khăn", "title_en": "Difficulties", "kind": "text", "required": False,
         "max": 200},
        {"key": "file", "title": "Phương án", "title_en": "The plan", "kind": "file", "required": False},
    ]  # fmt: skip
    tenant = Policy.model_validate({"settles": "complete"})
    return CampaignPlan.model_validate(
        plan.model_dump() | {"policies": {**plan.policies, "tenant": tenant}, "questions": {"tenant": questions}}
    )


async def run_campaign(url: str, home: Path, plan: CampaignPlan | None = None) -> None:
    house = build_house(url, home)
    await house.store.create_tables()
    await registry.take_over(house, small_register(house.settings))
    plan = plan or read_plan(house.settings.config / "campaigns" / "8184.yaml")[0]
    cascade = read_cascade(house.settings.config / "cascade.yaml")
    order = launches.Launch(plan, cascade, mode="exercise", by="test", folder=house.settings.config / "campaigns")
    await launches.launch(house, order)
    await turn_all(house)
    board = await Desk(house).delivery("BQL")
    said = confirmations.Answer(Event.ACKNOWLEDGED, "Văn thư", "Văn thư")
    await confirmations.answer(house, board.id, said)
    await turn_all(house)
    await house.close()


@dataclass
class Desk:
    """What a test knows of the house from outside its pages."""

    house: House

    @property
    def clock(self) -> HandClock:
        assert isinstance(self.house.clock, HandClock)
        return self.house.clock

    async def delivery(self, recipient: str) -> Delivery:
        async with self.house.store.view() as ledger:
            found = await ledger.first(select(Delivery).where(Delivery.recipient == recipient))
            assert found is not None, recipient
            row: Delivery = found
            return row

    async def one(self, *where: object) -> Delivery:
        """The first delivery of which this is true, by code."""
        async with self.house.store.view() as ledger:
            row: Delivery = await ledger.first(select(Delivery).where(*where).order_by(Delivery.code))  # type: ignore[arg-type]
            return row

    async def tenant(self, *, chemical: bool = False) -> Delivery:
        """A tenant outside the parks, which has the Board's letter; chemical: one in a park, below an investor."""
        async with self.house.store.view() as ledger:
            rows = await ledger.all(select(Delivery).where(Delivery.level == "tenant").order_by(Delivery.code))
        return next(
            row
            for row in rows
            if any("chemical" in tag for tag in row.segments) is chemical and (chemical or not row.park)
        )

    async def events(self, delivery_id: str) -> list[str]:
        async with self.house.store.view() as ledger:
            query = select(EventRow.kind).where(EventRow.stream == delivery_id).order_by(EventRow.seq)
            return list(await ledger.all(query))

    async def trace(self) -> tuple[int, list[tuple[str, int, str]]]:
        """Everything that an act would have changed."""
        async with self.house.store.view() as ledger:
            rows = await ledger.rows(select(Delivery.id, Delivery.event_seq, Delivery.state).order_by(Delivery.id))
            return await ledger.count(select(EventRow)), [tuple(row) for row in rows]

    def token(self, delivery: Delivery, *, purpose: str = "answer", version: int | None = None, days: int = 90) -> str:
        expires = START + timedelta(days=days)
        link = Link(delivery.id, purpose, delivery.link_version if version is None else version, expires)
        return self.house.links.token(link)

    def path(self, delivery: Delivery) -> str:
        return f"/v/{self.token(delivery)}"


def form_token(page: httpx.Response | str) -> str:
    """The hidden field of a page's forms, as a browser would send it."""
    found = re.search(r'name="form_token" value="([^"]+)"', page if isinstance(page, str) else page.text)
    assert found, "the page holds no form"
    return unescape(found[1])
