"""The count at the end: the same campaign seen from five sides, and what the demo promises to have shown."""

from __future__ import annotations

import email
import email.policy
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from sqlalchemy import func, select

from congvan.acts import figures
from congvan.acts.frozen import cascade_of, plan_of
from congvan.house import House
from congvan.mail.sinkstore import SinkStore, Stored
from congvan.rules.protocol import Fact, State
from congvan.store.ledger import Ledger
from congvan.store.tables import Campaign, Delivery, EventRow, Hop, Letter, Message, OrganisationRow

#: State names of delivery runs in Prefect, by what the database says.
_SHOWN = ("Confirmed", "ConfirmedLate", "Exempt", "Escalated", "Rejected", "Undeliverable", "Withdrawn")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the closing table. good: whether it holds what the demo promises."""

    what: str
    numbers: tuple[object, ...]
    good: bool


async def verdict(house: House, sink: SinkStore, prefect_api: str) -> list[Line]:
    """Every line of the closing table; the demo has failed if one is not good."""
    async with house.store.view() as ledger:
        campaign: Campaign = await ledger.first(select(Campaign).order_by(Campaign.launched_at))
        rows: list[Delivery] = await ledger.all(select(Delivery).where(Delivery.campaign_id == campaign.id))
        lines = await _sent(ledger, sink)
        lines += await _stories(ledger, campaign, rows, list(sink.lines()))
        lines += await _enclosures(ledger, sink, rows)
    status = (await figures.status(house, campaign.code))["campaigns"][0]["totals"]
    lines += _states(rows, status)
    return lines + await _prefect(prefect_api, rows)


def _states(rows: Sequence[Delivery], status: dict[str, int]) -> list[Line]:
    counts = Counter(row.state for row in rows)
    return [
        Line(f"{state.value}: cơ sở dữ liệu = congvan status", (counts[state], status.get(state, 0)),
             counts[state] == status.get(state, 0))
        for state in State
        if counts[state] or status.get(state, 0)
    ]  # fmt: skip


def _shown_name(row: Delivery) -> str:
    if row.state == State.EXEMPT:
        return "Exempt"
    if row.state in (State.REJECTED, State.UNDELIVERABLE):
        return str(row.state).capitalize()
    if row.settled_at is not None:
        return "ConfirmedLate" if row.late else "Confirmed"
    return "Escalated" if row.escalated_at else "open"


async def _prefect(api: str, rows: Sequence[Delivery]) -> list[Line]:
    """The runs of `delivery` by state name, asked of Prefect's own API."""
    wanted = Counter(_shown_name(row) for row in rows)
    lines = []
    async with httpx.AsyncClient(base_url=api, timeout=60) as client:
        for name in _SHOWN:
            body = {
                "flows": {"name": {"any_": ["delivery"]}},
                "flow_runs": {"state": {"name": {"any_": [name]}}},
            }
            found = (await client.post("/flow_runs/count", json=body)).json()
            if wanted[name] or found:
                lines.append(Line(f"{name}: cơ sở dữ liệu = Prefect", (wanted[name], found), wanted[name] == found))
        total = (await client.post("/flow_runs/count", json={"flows": {"name": {"any_": ["delivery"]}}})).json()
    return [*lines, Line("Đơn vị nhận: cơ sở dữ liệu = Prefect", (len(rows), total), len(rows) == total)]


async def _sent(ledger: Ledger, sink: SinkStore) -> list[Line]:
    """What the engine recorded as sent, against what the sink counted from outside."""
    sent = set(await ledger.all(select(Message.message_id).where(Message.state == "SENT")))
    arrived = Counter(stored.message_id for stored in sink.lines())
    twice = sum(number > 1 for number in arrived.values())
    return [
        Line("Thư đã gửi: cơ sở dữ liệu = hộp thư", (len(sent), len(arrived)), sent == set(arrived)),
        Line("Thư đến hai lần", (twice,), twice == 0),
    ]


async def _stories(
    ledger: Ledger, campaign: Campaign, rows: Sequence[Delivery], arrived: Sequence[Stored]
) -> list[Line]:
    settled = [row for row in rows if row.settled_at is not None and row.state != State.EXEMPT]
    never = [row for row in rows if row.escalated_at and not row.confirmed_at and row.due_at]
    cascade, plan = cascade_of(campaign), plan_of(campaign)
    boxes = await _mailboxes(ledger)
    inbox = Counter(address for stored in arrived for address in stored.rcpt_to)
    bypassed = await ledger.all(select(Hop.id).where(Hop.bypassed_at.is_not(None)))
    two_parks = await ledger.rows(
        select(EventRow.stream).where(EventRow.kind == Fact.ANOTHER_WAY.value).distinct()
    )
    letterheads = await ledger.count(
        select(Letter.id).where(Letter.campaign_id == campaign.id, Letter.kind == "investor")
    )
    with_tenants = await ledger.count(
        select(Hop.id).where(Hop.campaign_id == campaign.id, Hop.level == "investor")
    )
    digest_to = cascade.ladder[0].to
    digests = await ledger.count(select(Message.id).where(Message.kind == "digest", Message.recipient == digest_to))
    reports = await ledger.count(select(Message.id).where(Message.kind == "report", Message.state == "SENT"))
    copies = await ledger.count(select(Message.id).where(Message.kind == "copy", Message.state == "SENT"))
    # Who stands in Nơi nhận of each công văn đôn đốc: the City.
    urges = await ledger.count(select(Letter.id).where(Letter.kind == "urge", Letter.state == "ISSUED"))
    copied = len(plan.copies) + urges
    outside = [row for row in rows if row.level == "tenant" and not row.park]
    units = [row for row in rows if row.level == "unit" and row.state != State.EXEMPT]

    def some(what: str, number: int) -> Line:
        return Line(what, (number,), number > 0)

    return [
        some("Xác nhận trước khi nhắc", sum(row.reminders == 0 and not row.late for row in settled)),
        some("Xác nhận sau khi nhắc", sum(row.reminders > 0 and not row.late for row in settled)),
        some("Xác nhận muộn, sau khi báo cáo vượt cấp", sum(bool(row.late and row.escalated_at) for row in settled)),
        some("Không trả lời", len(never)),
        some("Gửi không thành công", sum(row.state == State.UNDELIVERABLE for row in rows)),
        some("Từ chối tiếp nhận", sum(row.state == State.REJECTED for row in rows)),
        Line("Chủ đầu tư im lặng, doanh nghiệp được gửi thẳng", (len(bypassed),), len(bypassed) == 1),
        some("… và số doanh nghiệp đó", sum(row.hop_id in bypassed and row.sent_at is not None for row in rows)),
        some("Doanh nghiệp ở hai khu, một văn bản", len(two_parks)),
        Line("Đơn vị thuộc Ban đã nhận", (sum(row.sent_at is not None for row in units), len(units)),
             all(row.sent_at for row in units) and bool(units)),
        Line("Doanh nghiệp ngoài khu đã nhận", (sum(row.sent_at is not None for row in outside), len(outside)),
             all(row.sent_at for row in outside) and bool(outside)),
        Line("Văn bản của chủ đầu tư = chủ đầu tư có doanh nghiệp", (letterheads, with_tenants),
             letterheads == with_tenants > 0),
        Line(f"Thư tổng hợp đến {digest_to}: gửi = nhận", (digests, _of_kind(arrived, boxes[digest_to], "digest")),
             digests == _of_kind(arrived, boxes[digest_to], "digest") > 0),
        Line("Bản sao để báo cáo, để biết", (copies, copied), copies == copied > 0),
        some("Thư đến hộp thư của cấp trên", inbox[boxes[cascade.reports_to]]),
        Line("Báo cáo sau khi kết thúc", (reports,), reports == 1),
    ]  # fmt: skip


async def _mailboxes(ledger: Ledger) -> dict[str, str]:
    rows = await ledger.rows(select(OrganisationRow.code, OrganisationRow.record))
    return {code: record["contacts"][0]["email"] for code, record in rows if record["contacts"]}


def _of_kind(arrived: Sequence[Stored], address: str, kind: str) -> int:
    return sum(address in stored.rcpt_to and f".{kind}." in stored.message_id for stored in arrived)


async def _enclosures(ledger: Ledger, sink: SinkStore, rows: Sequence[Delivery]) -> list[Line]:
    """A tenant's mail, opened at the sink: three PDFs with the hashes of the ledger."""
    passed_on = select(Hop.id).where(Hop.level == "investor", Hop.bypassed_at.is_(None))
    hops = set(await ledger.all(passed_on))
    tenants = {row.id for row in rows if row.hop_id in hops and row.sent_at}
    known = set(await ledger.all(select(Letter.sha256).where(Letter.state == "ISSUED")))
    campaign: Campaign = await ledger.first(select(Campaign))
    known |= {one["sha256"] for one in campaign.upstream}
    checked = good = 0
    for stored in sink.lines():
        if stored.message_id[1:].partition(".")[0] in tenants and ".letter." in stored.message_id:
            checked += 1
            good += _three_known(sink, stored, known)
            if checked >= 50:
                break
    return [Line("Thư của doanh nghiệp có ba PDF đúng mã băm (mẫu 50 thư)", (good, checked), good == checked > 0)]


def _three_known(sink: SinkStore, stored: Stored, known: set[Any]) -> bool:
    message = email.message_from_bytes((sink.folder / stored.file).read_bytes(), policy=email.policy.default)
    hashes = [
        hashlib.sha256(part.get_content()).hexdigest()
        for part in message.iter_attachments()
        if part.get_content_type() == "application/pdf"
    ]
    return len(hashes) == 3 and set(hashes) <= known


async def caught_up(house: House) -> bool:
    """True when the board shows everything."""
    async with house.store.view() as ledger:
        behind = await ledger.session.scalar(
            select(func.count()).select_from(Delivery).where(Delivery.board_seq > Delivery.board_seen)
        )
    return not behind
