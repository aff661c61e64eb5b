"""The log held against itself: every chain, every seal, and every present state by playing the log again."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select, tuple_

from congvan.acts import campaigns
from congvan.acts.seals import Line, heads_hash, seal_hash
from congvan.errors import ImpossibleMove
from congvan.house import House
from congvan.rules.protocol import Fact
from congvan.rules.replay import Played
from congvan.store.ledger import Entry, Ledger, chain_hash
from congvan.store.tables import Campaign, Delivery, EventRow, Hop, Letter, Seal, SealLine

#: Events read at once.
BATCH = 5_000


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not fit. where: the code of a delivery, the issuer of a hop, or the campaign's code;
    event: its number in that log, or None; kind: what the log calls it; problem: in words."""

    where: str
    event: int | None
    kind: str
    problem: str


@dataclass(slots=True)
class Verdict:
    """What an audit has seen. seal: number and hash of the last seal; unsealed: events since."""

    campaign: str
    events: int = 0
    streams: int = 0
    seals: int = 0
    seal: str = ""
    unsealed: int = 0
    findings: list[Finding] = field(default_factory=list)


@dataclass(slots=True)
class _Stream:
    """One log as far as it was read. row: what it belongs to, as far as a log speaks of it; None where nothing does."""

    name: str
    row: Any
    of: type[Campaign | Hop | Delivery] | None
    seq: int = 0
    head: str = ""
    kind: str = ""
    played: Played = field(default_factory=Played)
    broken: bool = False
    #: The hash of each event that a seal holds.
    hashes: dict[int, str] = field(default_factory=dict)


async def audit(house: House, name: str, known_seal: str = "") -> Verdict:
    """Verify one campaign; raise NotFound.

    1. Every event follows the one before it: number, and hash over what it says.
    2. Every log ends where its row says, and played again it leads to the row's present state.
    3. Every seal follows the one before it, and every line of it is an event that is still there.
    4. known_seal: a hash that was noted outside (on a report, in an export) is among the seals.
    5. Every issued letter has the bytes that its hash and its log name.
    """
    async with house.store.view() as ledger:
        campaign = await campaigns.find(ledger, name)
        streams = await _rows(ledger, campaign)
        verdict = Verdict(campaign.code, streams=len(streams))
        sealed = await _lines(ledger, campaign.id)
        async for event in events(ledger, campaign.id):
            verdict.events += 1
            stream = streams.setdefault(event.stream, _Stream(event.stream, None, None))
            _follow(verdict, stream, event)
            if (event.stream, event.seq) in sealed:
                stream.hashes[event.seq] = event.hash
        for stream in streams.values():
            _end(verdict, stream)
        await _check_seals(ledger, verdict, campaign, streams, known_seal)
        await _check_papers(ledger, verdict, campaign)
    return verdict


async def _rows(ledger: Ledger, campaign: Campaign) -> dict[str, _Stream]:
    """Columns and not whole rows: tens of thousands are held until the last event has been read."""
    found = {campaign.id: _Stream(campaign.code, campaign, Campaign)}
    hop = select(Hop.id, Hop.issuer, Hop.event_seq, Hop.event_head, Hop.opened_at)
    for row in await ledger.rows(hop.where(Hop.campaign_id == campaign.id)):
        found[row.id] = _Stream(row.issuer, row, Hop)
    one = select(
        Delivery.id, Delivery.code, Delivery.event_seq, Delivery.event_head, Delivery.state, Delivery.reminders
    )
    for row in await ledger.rows(one.where(Delivery.campaign_id == campaign.id)):
        found[row.id] = _Stream(row.code, row, Delivery)
    return found


async def events(ledger: Ledger, campaign_id: str) -> AsyncIterator[EventRow]:
    """Every event of a campaign, log by log, each in its order."""
    after: tuple[str, int] = ("", 0)
    while True:
        batch: list[EventRow] = await ledger.all(
            select(EventRow)
            .where(EventRow.campaign_id == campaign_id, tuple_(EventRow.stream, EventRow.seq) > after)
            .order_by(EventRow.stream, EventRow.seq)
            .limit(BATCH)
        )
        for event in batch:
            yield event
        if len(batch) < BATCH:
            return
        after = (batch[-1].stream, batch[-1].seq)
        ledger.session.expunge_all()


def _follow(verdict: Verdict, stream: _Stream, event: EventRow) -> None:
    """One more event. After a break the written hash is taken on, so that one change is one finding."""

    def found(problem: str) -> None:
        stream.broken = True
        verdict.findings.append(Finding(stream.name, event.seq, event.kind, problem))

    entry = Entry(event.kind, event.data, event.actor, event.channel)
    if event.seq != stream.seq + 1:
        found(f"thiếu sự kiện {_span(stream.seq + 1, event.seq - 1)} ngay trước sự kiện này")
    elif event.hash != chain_hash(stream.head, event.stream, event.seq, event.at, entry):
        found("sự kiện này, hoặc thứ tự của nó, đã bị sửa sau khi ghi")
    try:
        stream.played.play(event.kind, event.data)
    except (ImpossibleMove, KeyError, ValueError) as error:
        found(f"không diễn lại được: {error}")
    stream.seq, stream.head, stream.kind = event.seq, event.hash, event.kind


def _span(first: int, last: int) -> str:
    return str(first) if first >= last else f"{first}–{last}"


def _end(verdict: Verdict, stream: _Stream) -> None:
    """A log ends where its row says, in the state that its row has."""

    def found(problem: str) -> None:
        verdict.findings.append(Finding(stream.name, stream.seq or None, stream.kind, problem))

    row, played = stream.row, stream.played
    if row is None:
        found("nhật ký không thuộc về dòng nào trong sổ")
        return
    if stream.seq < row.event_seq:
        found(f"thiếu sự kiện {_span(stream.seq + 1, row.event_seq)} ở cuối nhật ký")
    elif (stream.seq, stream.head) != (row.event_seq, row.event_head):
        found("cuối nhật ký không khớp với dòng trong sổ")
    if stream.broken or stream.seq < row.event_seq:
        return
    if stream.of is Delivery:
        if played.state != row.state:
            found(f"nhật ký dẫn đến {played.state}, sổ ghi {row.state}")
        if played.reminders != row.reminders:
            found(f"nhật ký có {played.reminders} lần nhắc, sổ ghi {row.reminders}")
    elif stream.of is Hop and played.opened != (row.opened_at is not None):
        found("nhật ký và sổ khác nhau về việc chặng này đã mở")
    elif stream.of is Campaign and played.closed != (row.state == "CLOSED"):
        found("nhật ký và sổ khác nhau về việc đợt này đã kết thúc")


# ------------------------------------------------------------------------------------ seals


async def _lines(ledger: Ledger, campaign_id: str) -> set[tuple[str, int]]:
    rows = await ledger.rows(
        select(SealLine.stream, SealLine.event_seq).where(SealLine.campaign_id == campaign_id)
    )
    return {(stream, number) for stream, number in rows}


async def _check_seals(
    ledger: Ledger, verdict: Verdict, campaign: Campaign, streams: dict[str, _Stream], known: str
) -> None:
    theirs = SealLine.campaign_id == campaign.id
    lines = set(await ledger.all(select(SealLine.seal).where(theirs).distinct()))
    before, expected, hashes = "", 1, set()
    for seal in await ledger.all(select(Seal).where(Seal.campaign_id == campaign.id).order_by(Seal.seq)):
        lines.discard(seal.seq)
        line = select(SealLine.stream, SealLine.event_seq, SealLine.event_head)
        own: list[Line] = [tuple(one) for one in await ledger.rows(line.where(theirs, SealLine.seal == seal.seq))]
        whole = seal_hash(before, campaign.id, seal.seq, seal.at, seal.events, seal.heads)
        if seal.seq != expected or seal.hash != whole or seal.heads != heads_hash(own):
            problem = f"niêm phong số {seal.seq} không khớp với niêm phong trước hoặc với nội dung của nó"
            verdict.findings.append(Finding(campaign.code, None, "seal", problem))
        _check_lines(verdict, streams, seal, own)
        hashes.add(seal.hash)
        before, expected = seal.hash, seal.seq + 1
        verdict.seals, verdict.seal, verdict.unsealed = seal.seq, seal.hash, verdict.events - seal.events
    if not verdict.seals:
        verdict.unsealed = verdict.events
    if lines:
        verdict.findings.append(Finding(campaign.code, None, "seal", f"thiếu niêm phong số {min(lines)}"))
    if known and known not in hashes:
        verdict.findings.append(Finding(campaign.code, None, "seal", f"không còn niêm phong {known}"))


def _check_lines(
    verdict: Verdict, streams: dict[str, _Stream], seal: Seal, lines: list[Line]
) -> None:
    for stream, number, head in sorted(lines):
        one = streams.get(stream)
        if one is None or one.hashes.get(number) != head:
            problem = f"khác với niêm phong số {seal.seq} ({seal.at:%d/%m/%Y %H:%M} UTC)"
            verdict.findings.append(Finding(one.name if one else stream, number, "", problem))


async def _check_papers(ledger: Ledger, verdict: Verdict, campaign: Campaign) -> None:
    entries = await ledger.all(
        select(EventRow.data).where(EventRow.campaign_id == campaign.id, EventRow.kind == Fact.LETTER_ISSUED)
    )
    # The first logs did not name the file.
    logged = {said["letter"]: said["sha256"] for said in entries if "sha256" in said}
    for letter in await ledger.all(select(Letter).where(Letter.campaign_id == campaign.id, Letter.state == "ISSUED")):
        data = await ledger.find_file(letter.sha256)
        same = data is not None and hashlib.sha256(data).hexdigest() == letter.sha256
        if not same or logged.get(letter.id, letter.sha256) != letter.sha256:
            problem = "tệp đã ban hành không còn nguyên vẹn"
            verdict.findings.append(Finding(letter.symbol or letter.id, None, "letter", problem))


# ------------------------------------------------------------------------------------ the export


async def export(house: House, name: str) -> AsyncIterator[dict[str, Any]]:
    """The whole log of a campaign, a mapping a line: the campaign, its events log by log, its seals.

    Who holds it can verify every chain without the database.
    """
    async with house.store.view() as ledger:
        campaign = await campaigns.find(ledger, name)
        streams = {key: one.name for key, one in (await _rows(ledger, campaign)).items()}
        yield {
            "record": "campaign", "id": campaign.id, "code": campaign.code, "subject": campaign.subject,
            "launched_at": campaign.launched_at.isoformat(),
        }  # fmt: skip
        async for event in events(ledger, campaign.id):
            yield {
                "record": "event", "stream": event.stream, "of": streams.get(event.stream, ""), "seq": event.seq,
                "at": event.at.isoformat(), "kind": event.kind, "actor": event.actor, "channel": event.channel,
                "data": event.data, "hash": event.hash,
            }  # fmt: skip
        for seal in await ledger.all(select(Seal).where(Seal.campaign_id == campaign.id).order_by(Seal.seq)):
            lines = await ledger.rows(
                select(SealLine.stream, SealLine.event_seq, SealLine.event_head)
                .where(SealLine.campaign_id == campaign.id, SealLine.seal == seal.seq)
                .order_by(SealLine.stream)
            )
            yield {
                "record": "seal", "seq": seal.seq, "at": seal.at.isoformat(), "events": seal.events,
                "heads": seal.heads, "hash": seal.hash, "lines": [list(line) for line in lines],
            }  # fmt: skip
