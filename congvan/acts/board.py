"""What the Prefect board shows of each recipient, what it has not seen yet, and how far it came."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, not_, select

from congvan.acts import waking
from congvan.errors import NotFound
from congvan.house import House
from congvan.rules.protocol import State, settled
from congvan.rules.records import Settles
from congvan.store.ledger import Ledger
from congvan.store.tables import Campaign, Delivery, Hop

#: Rows that one transaction passes over: none holds the database for long.
_PASSED = 2_000
#: Followed by the id of a campaign that was large when it was looked at first: whether it has runs all the same.
_DECIDED = "board:"


@dataclass(frozen=True, slots=True)
class Tile:
    """One delivery as the board shows it. No address, no person: names of organisations only."""

    delivery_id: str
    code: str
    name: str
    campaign: str
    level: str
    park: str
    segments: tuple[str, ...]
    hop_id: str
    state: State
    settled: bool
    late: bool
    reminders: int
    escalated: bool
    due_at: datetime | None
    seq: int
    run_id: str | None
    #: The name of the state in which its run stands, the deadline in its name, and the event that was told last; None:
    #: not known.
    stands: str | None
    stands_due: datetime | None
    told: str | None

    @property
    def as_it_stands(self) -> bool:
        """Its run shows already what there is to show: what has changed is seen in tables only."""
        return self.run_id is not None and (self.stands, self.stands_due) == (self.shown[1], self.due_at)

    @property
    def shown(self) -> tuple[str, str]:
        """Type and name of the state in which Prefect shows it; the type alone tells the truth.

        SCHEDULED: nothing is amiss and the deadline lies ahead, as of a hop that sleeps; PENDING: something happened
        that is no answer yet.
        """
        if self.state in _SHOWN:
            return _SHOWN[self.state]
        if self.settled:
            return "COMPLETED", "ConfirmedLate" if self.late else "Confirmed"
        if self.escalated:
            return "FAILED", "Escalated"
        if self.state in (State.ACKNOWLEDGED, State.IN_PROGRESS, State.FORWARDED):
            return "PENDING", "Acknowledged"
        if self.state is State.DELIVERED:
            return "PENDING", "Delivered"
        if self.state is State.QUEUED:
            return "SCHEDULED", "Queued"
        return ("PENDING", "Reminded") if self.reminders else ("SCHEDULED", "AwaitingConfirmation")


#: The board has not seen its last change; and of what it shows recipients at all.
_CHANGED = Delivery.board_seq > Delivery.board_seen
_ON_SHOW = (Hop.opened_at.is_not(None), Campaign.run_id.is_not(None))
#: States that look the same whatever else is true.
_SHOWN = {
    State.WITHDRAWN: ("CANCELLED", "Withdrawn"), State.EXEMPT: ("COMPLETED", "Exempt"),
    State.REJECTED: ("FAILED", "Rejected"), State.UNDELIVERABLE: ("CRASHED", "Undeliverable"),
}  # fmt: skip


async def unpublished(
    house: House, limit: int = 500, *, without: Collection[str] = (), most: int | None = None
) -> list[Tile]:
    """Deliveries of opened hops that the board does not show as they are, in the order of their hops.

    without: deliveries that are left out. most: campaigns of more recipients are left out: since `pass_over` looked,
    another of theirs may have changed, and would be shown by itself and never again.
    """
    async with house.store.view() as ledger:
        query = (
            select(Delivery, Campaign.code)
            .join(Campaign, Campaign.id == Delivery.campaign_id)
            .join(Hop, Hop.id == Delivery.hop_id)
            .where(_CHANGED, *_ON_SHOW)
            .order_by(Hop.opened_at, Delivery.code)
            .limit(limit)
        )
        if without:
            query = query.where(not_(ledger.among(Delivery.id, without)))
        found = await ledger.rows(query)
        keys = {row.campaign_id for row, _ in found}
        large = set() if most is None else await _large(ledger, keys, most)
        return [_tile(row, campaign) for row, campaign in found if row.campaign_id not in large]


async def behind(ledger: Ledger) -> int:
    """How many `unpublished` would give without a limit."""
    unseen = _unseen()
    shown = select(unseen.id).join(Campaign, Campaign.id == unseen.campaign_id).join(Hop, Hop.id == unseen.hop_id)
    return await ledger.count(shown.where(*_ON_SHOW))


def _tile(row: Delivery, campaign: str) -> Tile:
    return Tile(
        delivery_id=row.id, code=row.recipient, name=row.name, campaign=campaign, level=row.level, park=row.park,
        segments=tuple(row.segments), hop_id=row.hop_id, state=State(row.state),
        settled=settled(State(row.state), Settles(row.settles)), late=row.late, reminders=row.reminders,
        escalated=row.escalated_at is not None, due_at=row.due_at, seq=row.board_seq, run_id=row.run_id,
        stands=row.board_state, stands_due=row.board_due, told=row.board_event,
    )  # fmt: skip


async def hops_at_work(house: House) -> bool:
    """True while a hop is due or its turn is under way: its own run comes before the picture of others."""
    now, wall = await house.clock.now(), house.clock.wall()
    async with house.store.view() as ledger:
        return bool(await ledger.first(select(Hop.id).where(and_(*waking.is_due(now)) | (Hop.lease_until > wall))))


async def published(house: House, done: Iterable[tuple[Tile, str | None, bool]]) -> None:
    """Store how far the board came: each tile with its run, and whether the run shows the tile's state.

    A newer change has a higher number and so stays unpublished.
    """
    rows = [
        {"id": tile.delivery_id, "run_id": run_id, "board_seen": tile.seq if shown else 0,
         "board_state": tile.shown[1] if shown else None, "board_due": tile.due_at if shown else None}
        for tile, run_id, shown in done
    ]  # fmt: skip
    if rows:
        async with house.store.act() as ledger:
            await ledger.change_many(Delivery, rows)


async def told(house: House, events: Mapping[str, str]) -> None:
    """Store which event of each delivery Prefect was told of last."""
    if events:
        async with house.store.act() as ledger:
            await ledger.change_many(Delivery, [{"id": key, "board_event": event} for key, event in events.items()])


async def pass_over(house: House, most: int) -> list[str]:
    """Campaigns of more recipients than this are shown by tables only: what has changed in them counts as seen.

    One of whose recipients some have runs already keeps them, and gets the others: they would stand for ever as they
    stood when the campaign grew or the limit sank. Return the hops in which something had changed.
    """
    unseen = _unseen()
    hop_ids: set[str] = set()
    async with house.store.view() as ledger:
        shown = select(Campaign.id).where(Campaign.run_id.is_not(None))
        changed = await ledger.all(
            select(unseen.campaign_id).where(unseen.campaign_id.in_(shown)).distinct()
        )
        large = await _large(ledger, changed, most)
        undecided = [key for key in large if await ledger.note(_DECIDED + key) is None]
        keep = {key for key in undecided if await ledger.first(_recipients(key).where(Delivery.run_id.is_not(None)))}
        large -= keep
        for key in large:
            theirs = select(unseen.hop_id).where(unseen.campaign_id == key)
            hop_ids.update(await ledger.all(theirs.distinct()))
    for key in undecided:
        async with house.store.act() as ledger:
            await ledger.set_note(_DECIDED + key, {"runs": key in keep})
    for key in large:
        some = select(unseen.id).where(unseen.campaign_id == key).limit(_PASSED)
        passed = _PASSED
        while passed == _PASSED:
            async with house.store.act() as ledger:
                theirs = select(Delivery.id).where(Delivery.id.in_(some)).order_by(Delivery.id)
                found = await ledger.all(theirs, lock=True)
                passed = await ledger.change(Delivery, ledger.among(Delivery.id, found), board_seen=Delivery.board_seq)
    return sorted(hop_ids)


async def is_large(house: House, campaign_id: str) -> bool:
    """Whether tables alone show the recipients of this campaign."""
    async with house.store.view() as ledger:
        return bool(await _large(ledger, [campaign_id], house.settings.board_runs))


async def _large(ledger: Ledger, campaign_ids: Iterable[str], most: int) -> set[str]:
    counted = [key for key in campaign_ids if await ledger.count(_recipients(key).limit(most + 1)) > most]
    return {key for key in counted if not (await ledger.note(_DECIDED + key) or {}).get("runs")}


def _unseen() -> Any:
    """The columns id, hop_id and campaign_id of what has changed, found first and by itself: SQLite, which knows no
    sizes, would go over all that wait, each second."""
    found = select(Delivery.id, Delivery.hop_id, Delivery.campaign_id).where(_CHANGED)
    return found.cte("unseen").prefix_with("MATERIALIZED").c


def _recipients(campaign_id: str) -> Select[tuple[str]]:
    return select(Delivery.id).where(Delivery.campaign_id == campaign_id)


async def repaint(house: House, name: str | None = None) -> int:
    """Have the whole board of a campaign (None: of all) shown again; how many recipients.

    Runs that are still there are set to what the database says, those that are gone are made again.
    """
    async with house.store.act() as ledger:
        query = select(Campaign.id)
        if name is not None:
            query = query.where((Campaign.code == name) | (Campaign.id == name))
        keys = await ledger.all(query)
        if name is not None and not keys:
            raise NotFound(f"không có đợt «{name}» → xem: congvan status")
        shown: Sequence[tuple[Any, Any, dict[str, None]]] = (
            (Delivery, Delivery.campaign_id.in_(keys), {"board_state": None}),
            (Hop, Hop.campaign_id.in_(keys), {}),
            (Campaign, Campaign.id.in_(keys), {}),
        )
        changed = []
        for table, theirs, more in shown:
            await ledger.all(select(table.id).where(theirs).order_by(table.id), lock=True)
            changed.append(await ledger.change(table, theirs, board_seen=0, **more))
        return changed[0]


async def tiles(house: House, campaign_id: str) -> list[tuple[Tile, bool]]:
    """Every recipient of opened hops, and whether the board has seen its last change."""
    async with house.store.view() as ledger:
        query = (
            select(Delivery, Campaign.code)
            .join(Campaign, Campaign.id == Delivery.campaign_id)
            .join(Hop, Hop.id == Delivery.hop_id)
            .where(Delivery.campaign_id == campaign_id, Hop.opened_at.is_not(None))
            .order_by(Delivery.code)
        )
        return [(_tile(row, code), row.board_seen >= row.board_seq) for row, code in await ledger.rows(query)]
