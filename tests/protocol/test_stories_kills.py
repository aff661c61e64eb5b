"""Killed at the worst moment and started again on the same database: nothing is lost, nothing is done twice unseen."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from congvan.acts import campaigns, hops, mails, opening, outbox
from congvan.house import House
from congvan.mail.outgoing import Outcome, Outgoing
from congvan.rules.protocol import State
from congvan.rules.records import Policy, Release
from congvan.store.ledger import Ledger
from congvan.store.tables import Campaign, EventRow, Hop, Letter, Message
from tests.conftest import Postbox, at
from tests.protocol.world import PLAN, Town, address, to

Builder = Callable[[Path], House]


class Killed(BaseException):
    """The process is gone."""


class Mortal:
    """Makes a house die right after its n-th commit, or right before it."""

    def __init__(self, house: House, at_commit: int, *, before: bool = False) -> None:
        self.house, self.left, self.before = house, at_commit, before
        self.commits = 0
        self._act = house.store.act
        house.store.act = self.act  # type: ignore[method-assign]

    @asynccontextmanager
    async def act(self) -> AsyncIterator[Ledger]:
        """A transaction, and perhaps the last one."""
        async with self._act() as ledger:
            yield ledger
            self._count(before=True)
        self._count(before=False)

    def _count(self, *, before: bool) -> None:
        if not before:
            self.commits += 1
            self.left -= 1
        if self.before == before and self.left == (1 if before else 0):
            raise Killed


class Wire(Postbox):
    """A mail server whose client dies when so many letters have gone through, with the next one on the wire."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after

    async def send(self, batch: Iterable[Outgoing]) -> AsyncGenerator[Outcome, None]:
        for item in batch:
            if item.witness is not None:
                item.witness.handing_over(item.key)
            async for outcome in super().send([item]):
                if len(self.taken) > self.after:
                    raise Killed
                if item.witness is not None:
                    item.witness.ended(outcome)
                yield outcome


async def start_again(town: Town, build: Builder, folder: Path) -> None:
    """Throw the house away and build another on the same database, once every lease has run out."""
    clock = town.clock
    await town.house.close()
    town.house = build(folder)
    town.house.clock = clock
    clock.forward(seconds=town.house.settings.lease_s + 1)


async def dies(act: Awaitable[Any]) -> None:
    """Wait for the kill."""
    with pytest.raises(Killed):
        await act


async def at_the_board(town: Town) -> Hop:
    """The Board has registered the City's document; its hop is to open."""
    await town.launch()
    await town.work()
    await town.say("BQL")
    return await town.hop("BQL")


LETTERS = ("INV-A", "INV-B", "T-OUT", "VP")


async def assert_everybody_was_reached_once_or_under_the_same_id(town: Town, *others: Postbox) -> None:
    """Every letter arrived; what arrived twice is the same message and is counted."""
    ids = sum((one.ids() for one in others), town.postbox.ids())
    rows = {row.message_id.strip("<>"): row for row in await town.all(Message)}
    for code in LETTERS:
        (row,) = [one for one in rows.values() if one.recipient == code and one.kind == "letter"]
        came = {name.strip("<>"): count for name, count in ids.items()}[row.message_id.strip("<>")]
        assert row.state == "SENT"
        assert 1 <= came <= 2
        assert came == 1 or row.unknown == came - 1
    assert await town.states(*LETTERS) == dict.fromkeys(LETTERS, "SENT")


# ------------------------------------------------------------------------------------ six kinds of kill


async def test_killed_while_launching_leaves_no_campaign_and_the_same_launch_works_again(
    town: Town, build: Builder, tmp_path: Path
) -> None:
    Mortal(town.house, 2, before=True)  # the first commit takes the register over
    await dies(town.launch())
    await start_again(town, build, tmp_path)
    assert await town.all(Campaign) == []
    assert await town.launch() == await town.launch()


async def test_killed_while_opening_leaves_the_hop_shut_or_open_with_every_letter_written_down(
    town: Town, build: Builder, tmp_path: Path
) -> None:
    hop = await at_the_board(town)
    mortal = Mortal(town.house, 1_000)
    lease = await hops.turn(town.house, hop.id)
    assert lease is not None
    opening = mortal.commits
    assert len(await town.all(Message, Message.hop_id == hop.id)) == 7
    await start_again(town, build, tmp_path)
    await town.work()
    await assert_everybody_was_reached_once_or_under_the_same_id(town)
    assert opening >= 3


async def test_killed_right_after_an_opening_the_hop_below_that_waits_for_nobody_opens_all_the_same(
    town: Town, build: Builder, tmp_path: Path
) -> None:
    await town.launch(policies=PLAN.policies | {"board": Policy(release=Release.AT_ONCE)})
    for commits in range(1, 20):
        Mortal(town.house, commits)
        await dies(town.turn((await town.hop("UBND-HP")).id))
        await start_again(town, build, tmp_path)
        if (await town.hop("UBND-HP")).opened_at is not None:
            break
    assert (await town.delivery("BQL")).state == State.QUEUED
    await town.work()
    await assert_everybody_was_reached_once_or_under_the_same_id(town)


async def test_killed_with_letters_claimed_and_none_on_the_wire(town: Town, build: Builder, tmp_path: Path) -> None:
    hop = await at_the_board(town)
    await hops.turn(town.house, hop.id)
    assert len(await outbox.claim(town.house, hop.id)) == 7
    await start_again(town, build, tmp_path)
    await town.work()
    await assert_everybody_was_reached_once_or_under_the_same_id(town)
    assert {row.unknown for row in await town.all(Message, Message.hop_id == hop.id)} == {1}, "counted, not guessed"


async def test_killed_after_the_server_took_it_and_before_it_was_recorded(
    town: Town, build: Builder, tmp_path: Path
) -> None:
    hop = await at_the_board(town)
    await hops.turn(town.house, hop.id)
    wire = Wire(after=3)
    await dies(outbox.dispatch(town.house, wire, hop.id))
    assert len(wire.taken) == 4
    await start_again(town, build, tmp_path)
    await town.work()
    await assert_everybody_was_reached_once_or_under_the_same_id(town, wire)


async def test_killed_after_the_outcomes_and_before_the_hop_went_to_rest(
    town: Town, build: Builder, tmp_path: Path
) -> None:
    hop = await at_the_board(town)
    await hops.turn(town.house, hop.id)
    await outbox.dispatch(town.house, town.postbox, hop.id)
    await start_again(town, build, tmp_path)
    await town.until("2023-12-06")
    await assert_everybody_was_reached_once_or_under_the_same_id(town)
    assert (await town.diary("reminder"))[0] == "06/12 08:00 INV-A reminder", "it finds its way back to sleep"


async def test_killed_while_answering_has_either_recorded_or_not_said_so(
    opened: Town, build: Builder, tmp_path: Path
) -> None:
    Mortal(opened.house, 1, before=True)
    await dies(opened.say("VP"))
    await start_again(opened, build, tmp_path)
    assert (await opened.delivery("VP")).state == State.SENT, "no receipt was given"
    Mortal(opened.house, 1)
    await dies(opened.say("VP"))
    await start_again(opened, build, tmp_path)
    assert (await opened.say("VP")).again, "what was committed is known"


@pytest.mark.parametrize("before", [False, True])
async def test_killed_while_a_company_passes_on_issues_its_letter_whole_or_not_at_all(
    opened: Town, build: Builder, tmp_path: Path, before: bool
) -> None:
    Mortal(opened.house, 1, before=before)
    await dies(opened.pass_on("INV-A", "12"))
    await start_again(opened, build, tmp_path)
    letter, delivery = await opened.letter("INV-A"), await opened.delivery("INV-A")
    assert (letter.state, delivery.state) == (("DRAFT", "SENT") if before else ("ISSUED", "FORWARDED"))
    await opened.pass_on("INV-A", "12")
    await opened.work()
    assert len(opened.postbox.to(address("T1"))) == 1
    assert len(await opened.all(Letter, Letter.issuer == "INV-A")) == 1


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_killed_again_and_again_the_story_ends_the_same(
    town: Town, build: Builder, tmp_path: Path, seed: int
) -> None:
    """From the launch to the tenant's letter the process dies after so many commits, or just before the last."""
    dice, deaths = random.Random(seed), 0
    town.postbox = Wire(after=1_000)
    await town.launch(audience=to("T-OUT"))
    for life in range(60):
        Mortal(town.house, dice.randint(1, 2 + life), before=dice.random() < 0.5)
        try:
            await town.work()
            await town.say("BQL")
            await town.work()
            break
        except Killed:
            deaths += 1
            await start_again(town, build, tmp_path)
    assert 3 < deaths < 59
    assert (await town.delivery("T-OUT")).state == State.SENT
    for issuer in ("UBND-HP", "BQL"):
        hop = await town.hop(issuer)
        events = [event.kind for event in await town.all(EventRow, EventRow.stream == hop.id)]
        assert events.count("opened") == 1
        assert len(await town.all(Letter, Letter.hop_id == hop.id)) == 1
    (letter,) = await town.all(Message, Message.kind == "letter")
    came = len(town.postbox.to(address("T-OUT")))
    assert 1 <= came <= letter.attempts
    assert letter.unknown <= letter.attempts - 1
    assert {str(mail["Message-ID"]).strip("<>") for mail in town.postbox.to(address("T-OUT"))} == {
        letter.message_id.strip("<>")
    }


# ------------------------------------------------------------------------------------ two at once


async def test_of_two_turns_at_once_one_gets_the_lease(town: Town) -> None:
    hop = await at_the_board(town)
    leases = await asyncio.gather(*(hops.turn(town.house, hop.id) for _ in range(4)))
    assert len([lease for lease in leases if lease is not None]) == 1
    assert (await town.hop("BQL")).turns == 1
    assert len(await town.all(Message, Message.hop_id == hop.id)) == 7


async def test_a_lease_that_ran_out_is_taken_over_and_its_old_holder_changes_nothing(town: Town) -> None:
    hop = await at_the_board(town)
    old = await hops.turn(town.house, hop.id)
    assert old is not None
    town.clock.forward(seconds=town.house.settings.lease_s + 1)
    new = await hops.take(town.house, hop.id)
    assert new is not None
    assert not await hops.extend_lease(town.house, old)
    before = await town.hop("BQL")
    await hops.rest(town.house, old)
    await hops.release(town.house, old)
    after = await town.hop("BQL")
    assert (after.lease_owner, after.wake_at) == (new.owner, before.wake_at)


async def test_a_turn_that_stood_still_past_its_lease_before_it_opens_does_not_open_again(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    hop = await at_the_board(town)
    right = opening._open

    async def overtaken(house: House, hop_id: str) -> None:
        monkeypatch.setattr(opening, "_open", right)
        town.clock.forward(seconds=house.settings.lease_s + 1)
        assert await town.turn(hop_id)
        await right(house, hop_id)

    monkeypatch.setattr(opening, "_open", overtaken)
    await town.turn(hop.id)
    kinds = [event.kind for event in await town.all(EventRow, EventRow.stream == hop.id)]
    assert kinds.count("opened") == 1


async def test_a_lease_that_is_kept_is_not_taken_over(town: Town) -> None:
    hop = await at_the_board(town)
    lease = await hops.take(town.house, hop.id)
    assert lease is not None
    for _ in range(3):
        town.clock.forward(seconds=town.house.settings.lease_s / 2)
        assert await hops.extend_lease(town.house, lease)
    assert await hops.take(town.house, hop.id) is None
    await hops.release(town.house, lease)
    assert await hops.take(town.house, hop.id) is not None


async def test_a_wake_that_comes_during_a_turn_is_not_lost(outside: Town) -> None:
    hop = await outside.hop("BQL")
    lease = await hops.turn(outside.house, hop.id)
    assert lease is not None
    await outside.say("T-OUT")  # the last answer: the hop has to settle
    assert await hops.rest(outside.house, lease) == outside.clock._now, "it stays due"
    await hops.release(outside.house, lease)
    await outside.work()
    assert (await outside.hop("BQL")).state == "SETTLED"


async def test_without_a_wake_the_hop_sleeps_until_its_next_instant(outside: Town) -> None:
    hop = await outside.hop("BQL")
    lease = await hops.turn(outside.house, hop.id)
    assert lease is not None
    assert await hops.rest(outside.house, lease) == at("2023-12-06")


async def test_a_wake_is_a_level_and_not_an_edge(outside: Town) -> None:
    hop = await outside.hop("BQL")
    for _ in range(3):
        async with outside.house.store.act() as ledger:
            await mails.wake_hop(ledger, hop.id, outside.clock._now)
    assert (await outside.hop("BQL")).wake_seq == hop.wake_seq + 3
    await outside.work()
    assert (await outside.hop("BQL")).wake_at == at("2023-12-06")


async def test_whoever_is_due_is_not_put_off_by_a_process_whose_clock_is_ahead(outside: Town) -> None:
    now, hop = outside.clock._now, await outside.hop("BQL")
    async with outside.house.store.act() as ledger:
        for by in (now, now + timedelta(hours=1)):
            await mails.wake_hop(ledger, hop.id, by)
            await mails.wake_campaign(ledger, hop.campaign_id, by)
    woken = await outside.hop("BQL")
    assert (woken.wake_at, woken.wake_seq) == (now, hop.wake_seq + 2)
    assert await campaigns.due(outside.house) == [hop.campaign_id]


async def test_two_houses_work_one_town_and_every_letter_leaves_once(
    town: Town, build: Builder, tmp_path: Path
) -> None:
    hop = await at_the_board(town)
    other = Town(build(tmp_path), Postbox(), town.campaign)
    other.house.clock = town.clock
    await asyncio.gather(town.turn(hop.id), other.turn(hop.id), other.turn(hop.id), town.turn(hop.id))
    await town.work()
    await other.work()
    assert max((town.postbox.ids() + other.postbox.ids()).values()) == 1
    assert await town.states(*LETTERS) == dict.fromkeys(LETTERS, "SENT")
    assert timedelta(seconds=other.house.settings.lease_s) == other.house.lease
    await other.house.close()
