"""How long a hop sleeps in Prefect's schedule when something of it is due already."""

from __future__ import annotations

import pytest

from congvan.acts import campaigns, mails, prefect_runs, waking
from congvan.house import House
from flows.hop import asleep_until, comes_again
from flows.sleep import MADE_UP_AFTER
from tests.conftest import Postbox, at
from tests.protocol.world import Town


@pytest.fixture
async def town(house: House, postbox: Postbox) -> Town:
    """The Board's letter is out; nobody has answered."""
    made = Town(house, postbox)
    await made.launch()
    await made.until("2023-12-01", "10:00")
    await made.say("BQL")
    await made.until("2023-12-01", "16:00")
    return made


async def wake(town: Town) -> str:
    """Something happens in the Board's hop: it is due at once."""
    hop = await town.hop("BQL")
    async with town.house.store.act() as ledger:
        await mails.wake_hop(ledger, hop.id, await town.house.clock.now())
    return hop.id


async def test_a_hop_of_which_nothing_is_due_sleeps_until_its_next_wake(town: Town) -> None:
    then = at("2023-12-06", "08:00")
    assert await asleep_until(town.house, then) == then


async def test_a_round_without_mail_is_left_to_the_relay_and_starts_no_second_process(town: Town) -> None:
    hop_id = await wake(town)
    assert not await comes_again(town.house, hop_id, held=False)
    wall = town.house.clock.wall()
    # Where no relay is alive Prefect makes up for it, but not at once: the relay would come too late for ever.
    assert await asleep_until(town.house, await waking.planned(town.house, hop_id)) == wall + MADE_UP_AFTER


async def test_a_round_with_mail_starts_the_next_process_at_once(town: Town) -> None:
    hop = await town.hop("BQL")
    assert hop.wake_at is not None
    town.clock.set(hop.wake_at)
    assert await comes_again(town.house, hop.id, held=False)


async def test_a_hop_that_was_held_during_its_turn_starts_no_process(town: Town) -> None:
    hop = await town.hop("BQL")
    assert hop.wake_at is not None
    town.clock.set(hop.wake_at)
    await campaigns.hold(town.house, town.campaign, "An")
    run = await prefect_runs.run_of_hop(town.house, hop.id)
    assert not await comes_again(town.house, hop.id, run.held)
