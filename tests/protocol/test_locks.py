"""The watcher of the order of locks, which looks on in every test on SQLite, hears what it is there for."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from congvan.store.tables import Campaign, Delivery, Hop
from tests.protocol.world import Town


async def test_a_transaction_that_locks_out_of_turn_is_found(opened: Town) -> None:
    delivery = await opened.delivery("INV-A")
    async with opened.house.store.act() as ledger:
        await ledger.take(Campaign, opened.campaign)
        with pytest.raises(AssertionError, match="deliveries after campaigns"):
            await ledger.take(Delivery, delivery.id)
        with pytest.raises(AssertionError, match="hops after campaigns"):
            await ledger.change(Hop, Hop.id == delivery.hop_id, board_seen=0)
        with pytest.raises(AssertionError, match="deliveries after campaigns"):
            await ledger.all(select(Delivery).order_by(Delivery.id), lock=True)


async def test_what_is_locked_in_turn_in_one_transaction_may_be_locked_out_of_turn_in_two(opened: Town) -> None:
    delivery = await opened.delivery("INV-A")
    for _ in range(2):
        async with opened.house.store.act() as ledger:
            await ledger.take(Delivery, delivery.id)
            await ledger.take(Campaign, opened.campaign)
            await ledger.change(Delivery, Delivery.id == delivery.id, board_seen=0)
