"""A small town for the stories: a city, a board with its units, two investors, tenants inside, between and outside.

The chain and the letter are the shipped ones; everybody who answers is invented. A story moves the clock by
hand and asks the diary what left for whom.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from congvan.acts import (
    campaigns,
    confirmations,
    escalations,
    hops,
    launches,
    mails,
    outbox,
    passing_on,
    registry,
    telling,
    waking,
)
from congvan.clock import HandClock
from congvan.house import House
from congvan.links import Link
from congvan.reading import read_cascade, read_plan
from congvan.rules.calendar import local
from congvan.rules.protocol import Event
from congvan.rules.records import Audience, CampaignPlan, Cascade, Contact, Organisation, Park, Person, Policy, Register
from congvan.store.tables import Campaign, Case, Delivery, EventRow, Hop, Letter, Message
from tests.conftest import ROOT, Postbox, at

CASCADE: Cascade = read_cascade(ROOT / "config" / "cascade.yaml")
PLAN: CampaignPlan = read_plan(ROOT / "config" / "campaigns" / "8184.yaml")[0]
#: What the plan asks of investors, but for what happens when they stay silent.
ESCALATE = Policy.model_validate({"settles": "forward"})
PARKS = (Park(code="P1", name="KCN Một", investor="INV-A"), Park(code="P2", name="KCN Hai", investor="INV-B"))
TENANTS = {
    "T1": ("P1",), "T2": ("P1",), "T-CHEM": ("P1",), "T-BOTH": ("P1", "P2"), "T3": ("P2",), "T-OUT": (),
}  # fmt: skip


def organisation(code: str, level: str, **more: Any) -> Organisation:
    """One with a mailbox named like itself."""
    box = Contact(email=address(code), role="văn thư")
    base = {"code": code, "name": f"Tổ chức {code}", "level": level, "abbreviation": code, "contacts": (box,)}
    return Organisation.model_validate(base | {"place": "Hải Phòng"} | more)


def address(code: str) -> str:
    """The mailbox of an organisation."""
    return f"{code.lower()}@{code.lower()}.example"


def register(**changes: dict[str, Any]) -> Register:
    """The town's register; changes: by code, with _ for -."""
    signer = Person(name="Nguyễn Văn Mẫu", position="GIÁM ĐỐC")
    rows = [
        ("UBND-HP", "city", {}),
        ("BQL", "board", {"parent": "UBND-HP"}),
        ("TB", "leader", {}),
        ("PTB", "leader", {}),
        ("VP", "unit", {"parent": "BQL"}),
        ("QHXD", "unit", {"parent": "BQL"}),
        ("INV-A", "investor", {"signers": (signer,)}),
        ("INV-B", "investor", {"signers": (signer,)}),
        *((code, "tenant", {"parks": parks}) for code, parks in TENANTS.items()),
    ]
    own: dict[str, dict[str, Any]] = {"T-CHEM": {"segments": ("chemical",)}}
    for name, values in changes.items():
        own[name.replace("_", "-")] = own.get(name.replace("_", "-"), {}) | values
    return Register(
        organisations=tuple(organisation(code, level, **(more | own.get(code, {}))) for code, level, more in rows),
        parks=PARKS,
    )


async def newcomer(town: Town, code: str, level: str = "tenant", **more: Any) -> None:
    """One more stands in the registry."""
    known = register()
    organisations = (*known.organisations, organisation(code, level, **more))
    await registry.take_over(town.house, known.model_copy(update={"organisations": organisations}))


def to(*codes: str) -> Audience:
    """An audience of these and of whoever carries it to them."""
    return Audience(include=codes)


@dataclass(frozen=True)
class Due:
    """What is due at one instant."""

    hops: tuple[str, ...] = ()
    campaigns: tuple[str, ...] = ()
    digest: bool = False
    mail: bool = False


@dataclass
class Town:
    """A house in a town, with what a story says of it."""

    house: House
    postbox: Postbox
    campaign: str = ""

    @property
    def clock(self) -> HandClock:
        assert isinstance(self.house.clock, HandClock)
        return self.house.clock

    async def launch(
        self,
        plan: CampaignPlan = PLAN,
        *,
        mode: str = "exercise",
        people: Register | None = None,
        cascade: Cascade = CASCADE,
        folder: Path = ROOT / "config" / "campaigns",
        **changes: Any,
    ) -> str:
        """Take the register over and launch the plan; changes: fields of the plan."""
        await registry.take_over(self.house, people or register())
        order = launches.Launch(plan.model_copy(update=changes), cascade, mode, "Người phụ trách", folder)
        self.campaign = await launches.launch(self.house, order)
        return self.campaign

    # ------------------------------------------------------------------ the engine

    async def work(self) -> None:
        """Do all that is due at this instant, and nothing of later."""
        for _ in range(40):
            due = await self._due()
            if due.digest:
                await telling.tell(self.house)
            for hop_id in due.hops:
                await self.turn(hop_id)
            for campaign_id in due.campaigns:
                await campaigns.turn(self.house, campaign_id)
            if due.mail:
                await outbox.dispatch(self.house, self.postbox, None)
            if due == Due():
                return
        raise AssertionError("the town never comes to rest")

    async def _due(self) -> Due:
        now = self.clock._now
        closed = select(Campaign.id).where(Campaign.state == "CLOSED")
        async with self.house.store.view() as ledger:
            digest_at = await escalations.next_digest_at(ledger)
            return Due(
                hops=tuple(hop.id for hop in await waking.due_hops(ledger, now)),
                campaigns=tuple(
                    await ledger.all(
                        select(Campaign.id).where(
                            Campaign.wake_at <= now, Campaign.state == "RUNNING", Campaign.held_at.is_(None)
                        )
                    )
                ),
                digest=digest_at is not None and digest_at <= now,
                mail=await ledger.first(
                    select(Message.id).where(
                        Message.hop_id.is_(None) | Message.campaign_id.in_(closed),
                        Message.state.in_(("QUEUED", "UNKNOWN", "CLAIMED")),
                        Message.not_before <= now,
                        mails.not_held(),
                    )
                )
                is not None,
            )

    async def turn(self, hop_id: str) -> bool:
        """What a woken hop's flow does; False where somebody else holds the hop."""
        lease = await hops.turn(self.house, hop_id)
        if lease is None:
            return False
        await outbox.dispatch(self.house, self.postbox, hop_id)
        await hops.rest(self.house, lease)
        await hops.release(self.house, lease)
        return True

    async def until(self, day: str, hour: str = "08:00") -> None:
        """Let time pass up to and with this instant, stopping wherever something is due."""
        end = at(day, hour)
        await self.work()
        while (then := await self.next_moment()) is not None and then <= end:
            assert then > self.clock._now, "something stays due and is not done"
            self.clock.set(then)
            await self.work()
        self.clock.set(end)
        await self.work()

    async def next_moment(self) -> datetime | None:
        """When something is due by the clock."""
        async with self.house.store.view() as ledger:
            running = select(Campaign.id).where(Campaign.held_at.is_(None), Campaign.state == "RUNNING")
            moments = [
                await ledger.first(
                    select(Hop.wake_at)
                    .where(Hop.wake_at.is_not(None), Hop.campaign_id.in_(running))
                    .order_by(Hop.wake_at)
                ),
                await ledger.first(
                    select(Message.not_before)
                    .where(Message.hop_id.is_(None), Message.state.in_(("QUEUED", "UNKNOWN")), mails.not_held())
                    .order_by(Message.not_before)
                ),
                await escalations.next_digest_at(ledger),
            ]
        return min((moment for moment in moments if moment is not None), default=None)

    # ------------------------------------------------------------------ the parties

    async def link(self, code: str) -> Link:
        """The link that this recipient's newest mail carries."""
        row = await self.delivery(code)
        return Link(row.id, "answer", row.link_version, at("2030-01-01"))

    async def say(self, code: str, event: Event = Event.ACKNOWLEDGED, **more: Any) -> confirmations.Receipt:
        """A recipient answers through its link."""
        said = confirmations.Answer(event, "Trần Thị Mẫu", "Văn thư", **({"segment_ticked": True} | more))
        return await confirmations.answer(self.house, (await self.delivery(code)).id, said, await self.link(code))

    async def pass_on(self, code: str, number: str = "", **more: Any) -> confirmations.Receipt:
        """A company passes the prepared letter on."""
        order = passing_on.PassOn("Trần Thị Mẫu", "Giám đốc", number, **more)
        return await passing_on.pass_on(self.house, (await self.delivery(code)).id, order, await self.link(code))

    # ------------------------------------------------------------------ what there is

    async def one(self, table: Any, *where: Any) -> Any:
        """The only row."""
        rows = await self.all(table, *where)
        assert len(rows) == 1, f"{len(rows)} rows in {table.__tablename__}"
        return rows[0]

    async def all(self, table: Any, *where: Any) -> list[Any]:
        """Every row."""
        async with self.house.store.view() as ledger:
            return await ledger.all(select(table).where(*where))

    async def campaigns(self) -> list[str]:
        """The ids of all campaigns."""
        return [row.id for row in await self.all(Campaign)]

    async def delivery(self, code: str) -> Delivery:
        """One recipient's obligation."""
        row: Delivery = await self.one(Delivery, Delivery.recipient == code, Delivery.campaign_id == self.campaign)
        return row

    async def hop(self, issuer: str) -> Hop:
        """The hop of one issuer."""
        row: Hop = await self.one(Hop, Hop.issuer == issuer, Hop.campaign_id == self.campaign)
        return row

    async def letter(self, issuer: str) -> Letter:
        """The letter of one issuer's hop."""
        row: Letter = await self.one(Letter, Letter.id == (await self.hop(issuer)).letter_id)
        return row

    async def cases(self, code: str) -> list[Case]:
        """The cases of one recipient, open and closed."""
        row = await self.delivery(code)
        return await self.all(Case, Case.delivery_id == row.id)

    async def log(self, code: str) -> list[str]:
        """What the log says of one recipient, in order."""
        row = await self.delivery(code)
        async with self.house.store.view() as ledger:
            found = await ledger.all(select(EventRow).where(EventRow.stream == row.id).order_by(EventRow.seq))
        return [event.kind for event in found]

    async def states(self, *codes: str) -> dict[str, str]:
        """Recipients and where they stand."""
        return {code: (await self.delivery(code)).state for code in codes}

    async def diary(self, *kinds: str, to: Sequence[str] = ()) -> list[str]:
        """What has left, in order: "06/12 08:00 T1 reminder"."""
        async with self.house.store.view() as ledger:
            rows = await ledger.all(
                select(Message)
                .where(Message.state == "SENT")
                .order_by(Message.sent_at, Message.recipient, Message.kind)
            )
        return [
            f"{local(row.sent_at):%d/%m %H:%M} {row.recipient} {row.kind}"
            for row in rows
            if (not kinds or row.kind in kinds) and (not to or row.recipient in to)
        ]
