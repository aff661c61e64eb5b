"""Other chains are other files: two levels and five, with other names, symbols, words and owners."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import select

from congvan.acts import (
    campaigns,
    closing,
    confirmations,
    demo,
    figures,
    hops,
    launches,
    letters,
    outbox,
    papers,
    passing_on,
    registry,
    telling,
    waking,
)
from congvan.clock import HandClock
from congvan.house import House
from congvan.letters.press import Press
from congvan.mail.words import Words
from congvan.reading import read_cascade, read_plan
from congvan.registry.sheets import read_register
from congvan.rules.calendar import Calendars
from congvan.rules.protocol import Event, State
from congvan.settings import Settings
from congvan.store.database import Store
from congvan.store.tables import Campaign, Delivery, Digest, Hop, Letter
from tests.conftest import ROOT, Postbox, at

CHAINS = ROOT / "tests" / "data" / "chains"


class Chain:
    """One authority with its own folder, driven by hand."""

    def __init__(self, house: House, folder: Path, postbox: Postbox) -> None:
        self.house, self.folder, self.postbox = house, folder, postbox
        self.campaign = ""

    async def launch(self) -> None:
        """Import the registry and launch the plan as an exercise."""
        cascade = read_cascade(self.folder / "cascade.yaml")
        register = read_register([self.folder / "registry"], cascade.levels)
        await registry.take_over(self.house, register)
        plan, _ = read_plan(self.folder / "plan.yaml")
        order = launches.Launch(plan, cascade, "exercise", "An", folder=self.folder)
        self.campaign = await launches.launch(self.house, order)

    async def work(self) -> None:
        """Turn every due hop, tell every due rung, send every mail, until nothing is due."""
        for _ in range(100):
            async with self.house.store.view() as ledger:
                due = await waking.due_hops(ledger, await self.house.clock.now())
            for hop in due:
                lease = await hops.turn(self.house, hop.id)
                assert lease is not None
                await outbox.dispatch(self.house, self.postbox, hop.id)
                await hops.rest(self.house, lease)
                await hops.release(self.house, lease)
            for campaign_id in await campaigns.due(self.house):
                await campaigns.turn(self.house, campaign_id)
            told = await telling.tell(self.house)
            sent = await outbox.dispatch(self.house, self.postbox)
            if not (due or told or sent):
                return
        raise AssertionError("there is always something due")

    async def deliveries(self) -> list[Delivery]:
        """Every obligation, by code."""
        async with self.house.store.view() as ledger:
            found: list[Delivery] = await ledger.all(select(Delivery).order_by(Delivery.code))
            return found

    async def answer_all(self, silent: frozenset[str] = frozenset()) -> int:
        """Everybody who got the letter does what is asked; how many."""
        done = 0
        for row in await self.deliveries():
            if row.state != State.SENT or row.recipient in silent:
                continue
            done += 1
            if row.child_hop_id and row.settles == "forward":
                order = passing_on.PassOn("Bình", "Văn thư", segment_ticked=True)
                await passing_on.pass_on(self.house, row.id, order)
            else:
                event = Event.COMPLETED if row.settles == "complete" else Event.ACKNOWLEDGED
                await confirmations.answer(
                    self.house, row.id, confirmations.Answer(event, "Bình", segment_ticked=True)
                )
        return done

    async def issue_reports(self) -> None:
        """The clerk issues what the ladder has prepared for whoever gave the directive."""
        async with self.house.store.view() as ledger:
            waiting = await papers.pending(ledger, self.campaign, "report")
        if waiting is not None:
            await letters.play_issue(self.house, waiting.id, "An")
            await self.work()

    async def run_on(self) -> None:
        """Jump from wake to wake until the clock has nothing left."""
        assert isinstance(self.house.clock, HandClock)
        for _ in range(200):
            await self.work()
            await self.issue_reports()
            async with self.house.store.view() as ledger:
                then = await demo.next_instant(ledger)
            if then is None:
                return
            self.house.clock.set(then)
        raise AssertionError("the clock never stops")


@pytest.fixture
def chain(
    request: pytest.FixtureRequest, settings: Settings, store: Store, calendars: Calendars, postbox: Postbox
) -> Chain:
    """The chain of a folder, on its own templates."""
    folder = CHAINS / request.param
    house = House(
        settings=settings, store=store, clock=HandClock(at("2024-05-07")), calendars=calendars,
        press=Press(ROOT / "templates" / "letters", folder / "letters"), words=Words(ROOT / "templates"),
        random=random.Random(1),
    )  # fmt: skip
    return Chain(house, folder, postbox)


@pytest.mark.parametrize("chain", ["two"], indirect=True)
async def test_a_chain_of_two_levels_asks_for_completion_and_its_own_office_is_told_of_the_silent(chain: Chain) -> None:
    await chain.launch()
    await chain.work()
    rows = await chain.deliveries()
    silent = sorted(row.recipient for row in rows)[-1]
    await chain.answer_all(frozenset({silent}))
    await chain.run_on()
    async with chain.house.store.view() as ledger:
        owners = Counter(await ledger.all(select(Digest.owner).order_by(Digest.made_at)))
        letter = await ledger.first(select(Letter).where(Letter.kind == "ministry"))
    assert letter.symbol.endswith("-VPB")
    assert owners == {"VPB": 1, "LDB": 1, "CP-MAU": 1}
    states = {row.recipient: row.state for row in await chain.deliveries()}
    assert states.pop(silent) == State.SENT
    assert set(states.values()) <= {State.COMPLETED, State.EXEMPT}


@pytest.mark.parametrize("chain", ["five"], indirect=True)
async def test_a_chain_of_five_levels_goes_down_to_the_last_village(chain: Chain) -> None:
    await chain.launch()
    for _ in range(4):
        await chain.work()
        assert await chain.answer_all() > 0
    await chain.work()
    rows = await chain.deliveries()
    assert {row.level for row in rows} == {"province", "district", "commune", "village"}
    assert {row.state for row in rows if row.level == "village"} == {State.ACKNOWLEDGED}
    async with chain.house.store.view() as ledger:
        assert {hop.state for hop in await ledger.all(select(Hop))} == {"SETTLED"}
        issued = Counter(await ledger.all(select(Letter.kind).where(Letter.state == "ISSUED")))
        campaign = await ledger.first(select(Campaign))
        assert await campaigns.ready_to_close(ledger, campaign)
    assert set(issued) == {"authority", "notice"}
    assert all(count == 1 for count in chain.postbox.ids().values())
    village = next(message for to, message in reversed(chain.postbox.sent) if "thon" in to or message.get("To"))
    assert len(list(village.iter_attachments())) >= 4, "the letter of every level above travels along"


@pytest.mark.parametrize("chain", ["five"], indirect=True)
async def test_a_silent_province_is_bypassed_and_the_end_is_reported(chain: Chain) -> None:
    await chain.launch()
    await chain.work()
    rows = await chain.deliveries()
    silent = min(row.recipient for row in rows if row.level == "province")
    await chain.answer_all(frozenset({silent}))
    for _ in range(30):
        await chain.work()
        await chain.answer_all(frozenset({silent}))
        async with chain.house.store.view() as ledger:
            if await campaigns.ready_to_close(ledger, await ledger.first(select(Campaign))):
                break
            then = await demo.next_instant(ledger)
        assert then is not None
        chain.house.clock.set(then)  # type: ignore[attr-defined]
    report = await closing.close(chain.house, chain.campaign, "Bình")
    await letters.play_issue(chain.house, report, "văn thư")
    await chain.work()
    async with chain.house.store.view() as ledger:
        bypassed = await ledger.all(select(Hop.issuer).where(Hop.bypassed_at.is_not(None)))
    assert bypassed == [silent]
    totals = (await figures.status(chain.house))["campaigns"][0]["totals"]
    assert totals["settled"] == totals["total"] - 1
    assert [message for _, message in chain.postbox.sent if "Báo cáo" in str(message["Subject"])]
