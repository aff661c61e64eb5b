"""The runs of campaigns and hops in Prefect, as the database remembers them. Prefect's ids are caches here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from congvan.acts.frozen import is_urgent
from congvan.house import House
from congvan.store.ledger import Ledger
from congvan.store.tables import Campaign, Delivery, Hop


@dataclass(frozen=True, slots=True)
class RunOf:
    """A campaign or a hop with what its Prefect run should show."""

    kind: str
    id: str
    campaign_id: str
    campaign: str
    name: str
    state: str
    run_id: str | None
    #: The run of its campaign, below which every hop stands.
    campaign_run_id: str | None
    #: A hop's page: the run below which its recipients stand.
    page_id: str | None
    wake_at: datetime | None
    due_at: datetime | None
    leased: bool
    seq: int
    seen: int
    held: bool
    #: Whether its campaign was closed.
    closed: bool
    urgent: bool


async def unfinished_campaigns(house: House) -> list[RunOf]:
    """Campaigns that have no run, or whose run does not show yet that a person has closed them."""
    wall = house.clock.wall()
    async with house.store.view() as ledger:
        rows: list[Campaign] = await ledger.all(
            select(Campaign).where(
                Campaign.run_id.is_(None) | ((Campaign.state == "CLOSED") & (Campaign.board_seq > Campaign.board_seen))
            )
        )
        return [_campaign_run(row, wall) for row in rows]


async def running_campaigns(house: House) -> list[RunOf]:
    """Campaigns that nobody has closed yet."""
    wall = house.clock.wall()
    async with house.store.view() as ledger:
        rows: list[Campaign] = await ledger.all(select(Campaign).where(Campaign.state == "RUNNING"))
        return [_campaign_run(row, wall) for row in rows]


async def campaign_shown(house: House, campaign_id: str, seq: int) -> None:
    """The campaign's run shows this much."""
    async with house.store.act() as ledger:
        await ledger.change(Campaign, Campaign.id == campaign_id, board_seen=seq)


async def open_hops(house: House) -> list[RunOf]:
    """Every hop that was woken and is not settled, and every other of which Prefect does not show that it has."""
    closed = select(Campaign.id).where(Campaign.state == "CLOSED")
    at_work = Hop.state.in_(("PENDING_ISSUE", "OPEN")) & Hop.campaign_id.not_in(closed)
    unseen = (Hop.state != "WAITING") & (Hop.board_seq > Hop.board_seen)
    async with house.store.view() as ledger:
        rows: list[Hop] = await ledger.all(select(Hop).where(at_work | unseen).order_by(Hop.campaign_id, Hop.ordinal))
        return await _hop_runs(house, ledger, rows)


async def unsettled_hops(house: House, campaign_id: str) -> list[RunOf]:
    """The hops of a campaign whose runs or pages have not ended."""
    has_one = Hop.run_id.is_not(None) | Hop.page_id.is_not(None)
    theirs = select(Hop).where(Hop.campaign_id == campaign_id, Hop.state != "SETTLED", has_one).order_by(Hop.ordinal)
    async with house.store.view() as ledger:
        return await _hop_runs(house, ledger, await ledger.all(theirs))


async def hop_shown(house: House, hop_id: str, seq: int) -> None:
    """The hop's run and page show this much."""
    async with house.store.act() as ledger:
        await ledger.change(Hop, Hop.id == hop_id, board_seen=seq)


async def opened_hops(house: House) -> list[str]:
    """Hops with a page, of campaigns that nobody has closed yet."""
    running = select(Campaign.id).where(Campaign.state == "RUNNING")
    async with house.store.view() as ledger:
        return await ledger.all(select(Hop.id).where(Hop.page_id.is_not(None), Hop.campaign_id.in_(running)))


async def run_of_hop(house: House, hop_id: str) -> RunOf:
    """One hop with what its run should show."""
    async with house.store.view() as ledger:
        return (await _hop_runs(house, ledger, [await ledger.get(Hop, hop_id)]))[0]


async def _hop_runs(house: House, ledger: Ledger, rows: Sequence[Hop]) -> list[RunOf]:
    wall = house.clock.wall()
    keys = {row.campaign_id for row in rows}
    by_id = {row.id: row for row in await ledger.all(select(Campaign).where(Campaign.id.in_(keys)))}
    return [_hop_run(row, by_id[row.campaign_id], wall) for row in rows]


def _campaign_run(row: Campaign, wall: datetime) -> RunOf:
    return RunOf(
        "campaign", row.id, row.id, row.code, row.code, row.state, row.run_id, row.run_id, None, row.wake_at, None,
        row.lease_until is not None and row.lease_until > wall, row.board_seq, row.board_seen,
        row.held_at is not None, row.state == "CLOSED", is_urgent(row),
    )  # fmt: skip


def _hop_run(row: Hop, campaign: Campaign, wall: datetime) -> RunOf:
    return RunOf(
        "hop", row.id, campaign.id, campaign.code, f"{row.issuer} {row.issuer_name}", row.state, row.run_id,
        campaign.run_id, row.page_id, row.wake_at, row.due_at, row.lease_until is not None and row.lease_until > wall,
        row.board_seq, row.board_seen, campaign.held_at is not None, campaign.state == "CLOSED", is_urgent(campaign),
    )  # fmt: skip


async def remember_run(house: House, kind: str, key: str, run_id: str | None) -> None:
    """Cache the Prefect run of a campaign or a hop; None forgets it."""
    table: Any = Campaign if kind == "campaign" else Hop
    async with house.store.act() as ledger:
        await ledger.change(table, table.id == key, run_id=run_id)


async def claim_page(house: House, campaign_id: str, run_id: str) -> bool:
    """Make this run the campaign's page unless it has another one."""
    async with house.store.act() as ledger:
        campaign = await ledger.take(Campaign, campaign_id)
        if campaign.run_id not in (None, run_id):
            return False
        await ledger.change(Campaign, Campaign.id == campaign_id, run_id=run_id)
        return True


async def remember_page(house: House, hop_id: str, run_id: str | None) -> None:
    """Cache the run on whose page a hop's recipients stand."""
    async with house.store.act() as ledger:
        await ledger.change(Hop, Hop.id == hop_id, page_id=run_id)


async def forget_page(house: House, hop_id: str, page_id: str) -> list[str]:
    """This page of a hop is gone, and so is the place of its recipients' runs: they are published again, on another
    one.

    Return the runs that they had; none where the hop has got another page meanwhile.
    """
    theirs = Delivery.hop_id == hop_id
    async with house.store.act() as ledger:
        runs: list[str | None] = await ledger.all(
            select(Delivery.run_id).where(theirs).order_by(Delivery.id), lock=True
        )
        if (await ledger.take(Hop, hop_id)).page_id != page_id:
            return []
        await ledger.change(Hop, Hop.id == hop_id, page_id=None)
        await ledger.change(Delivery, theirs, Delivery.run_id.is_not(None), run_id=None, board_seen=0, board_state=None)
        return [run for run in runs if run is not None]


async def repaint_hop(house: House, hop_id: str) -> None:
    """Have the runs of a hop's recipients set again."""
    theirs = Delivery.hop_id == hop_id
    async with house.store.act() as ledger:
        await _lock(ledger, Delivery, theirs)
        await ledger.change(Delivery, theirs, board_seen=0, board_state=None)


async def know_prefect(house: House, flow_id: str) -> bool:
    """Remember which Prefect database our cached ids are from; False when it is another one than before: then every
    one of them is void, and the whole board is unpublished again."""
    async with house.store.act() as ledger:
        known = await ledger.note("prefect")
        await ledger.set_note("prefect", {"flow": flow_id})
        # Whoever remembered something else of it until now is still at the same one.
        if known is None or known.get("flow") in (None, flow_id):
            return True
        shown: Sequence[tuple[Any, Any, dict[str, None]]] = (
            (Delivery, Delivery.run_id.is_not(None), {"board_state": None}),
            (Hop, Hop.run_id.is_not(None) | Hop.page_id.is_not(None), {"page_id": None}),
            (Campaign, Campaign.run_id.is_not(None), {}),
        )
        for table, theirs, more in shown:
            await _lock(ledger, table, theirs)
            await ledger.change(table, theirs, run_id=None, board_seen=0, **more)
        return False


async def _lock(ledger: Ledger, table: Any, *where: Any) -> None:
    """Lock these rows in the order in which everybody does, which a change of many does not keep."""
    await ledger.all(select(table.id).where(*where).order_by(table.id), lock=True)
