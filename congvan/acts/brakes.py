"""Brakes: a small share of each hop first, and a pause where too many mailboxes refuse, at once or by a later report.
A person lets the rest go."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from congvan.acts import campaigns, notices
from congvan.acts.frozen import is_urgent
from congvan.acts.mails import LETTERS
from congvan.house import House
from congvan.mail.outgoing import Outcome
from congvan.rules.protocol import Fact
from congvan.store.ledger import Ledger
from congvan.store.tables import Attempt, Campaign, EventRow, Hop, Incoming, Message

log = logging.getLogger(__name__)


class Brakes:
    """The brakes of one round of a hop. Mail of no hop (digests, chases) has none."""

    def __init__(self, house: House, hop_id: str | None) -> None:
        self._house, self._hop_id = house, hop_id
        self._why = ""

    async def allowance(self, wanted: int) -> int:
        """How many messages may be claimed now: fewer while the first share is out, none once it is all sent."""
        share = self._house.settings.canary_share
        if not share or self._hop_id is None:
            return wanted
        async with self._house.store.view() as ledger:
            campaign = await _campaign_of(ledger, self._hop_id)
            # Whoever issued a dispatch of the highest urgency wants it out, and a person may hold it.
            if is_urgent(campaign) or await _was_resumed(ledger, campaign.id, self._hop_id):
                return wanted
            letters = (Message.hop_id == self._hop_id) & Message.kind.in_(LETTERS)
            total = await ledger.count(select(Message.id).where(letters))
            begun = await ledger.count(select(Message.id).where(letters, Message.attempts > 0))
        left = math.ceil(total * share) - begun
        if left <= 0 and begun < total:
            self._why = f"đã gửi thử {begun}/{total} văn bản; chờ người phụ trách cho gửi tiếp"
        return max(0, min(wanted, left)) if begun < total else wanted

    async def look(self, outcomes: Sequence[Outcome]) -> None:
        """Hold the campaign where too many were refused since a person last let it go on."""
        if self._hop_id is None or all(one.verdict != "refused" for one in outcomes):
            return
        async with self._house.store.view() as ledger:
            campaign = await _campaign_of(ledger, self._hop_id)
            why = await _too_many(self._house, ledger, campaign.id)
        if why:
            await _hold(self._house, campaign, why)
            self._why = ""

    async def settle(self) -> None:
        """Hold the campaign where its first share is out; its log says why."""
        if not self._why or self._hop_id is None:
            return
        async with self._house.store.view() as ledger:
            campaign = await _campaign_of(ledger, self._hop_id)
        await _hold(self._house, campaign, self._why)
        self._why = ""


async def look_at_reports(house: House) -> None:
    """Hold each running campaign too many of whose letters have come back: most mail servers take everything first."""
    running = select(Campaign).where(Campaign.state == "RUNNING", Campaign.held_at.is_(None))
    async with house.store.view() as ledger:
        found = [(one, await _too_many(house, ledger, one.id)) for one in await ledger.all(running)]
    for campaign, why in found:
        if why:
            await _hold(house, campaign, why)


async def _hold(house: House, campaign: Campaign, why: str) -> None:
    log.warning("campaign %s is held: %s", campaign.code, why)
    await campaigns.hold(house, campaign.id, notices.ENGINE, why)


async def _campaign_of(ledger: Ledger, hop_id: str) -> Campaign:
    return await ledger.get(Campaign, (await ledger.get(Hop, hop_id)).campaign_id)


async def _was_resumed(ledger: Ledger, campaign_id: str, hop_id: str) -> bool:
    """Whether a person let the campaign go on after the first letters of a hop of this level were tried: an earlier
    word was about other mailboxes, and one for each of hundreds of companies would be none."""
    resumed = EventRow.stream == campaign_id, EventRow.kind == str(Fact.RESUMED)
    last = await ledger.first(select(EventRow.at).where(*resumed).order_by(EventRow.at.desc()))
    if last is None:
        return False
    alike = aliased(Hop)
    tried = (
        select(Attempt.message_id)
        .join(Message, Message.id == Attempt.message_id)
        .join(Hop, Hop.id == Message.hop_id)
        .join(alike, (alike.campaign_id == Hop.campaign_id) & (alike.level == Hop.level))
        .where(alike.id == hop_id, Message.kind.in_(LETTERS), Attempt.started_at <= last)
    )
    return await ledger.first(tried) is not None


async def _too_many(house: House, ledger: Ledger, campaign_id: str) -> str:
    """Why the campaign has to be held; empty: it has not."""
    settings = house.settings
    if not settings.refusal_brake:
        return ""
    refused, ended = await _refusals(ledger, campaign_id)
    if ended < settings.refusal_brake_from or refused < ended * settings.refusal_brake:
        return ""
    return f"{refused}/{ended} hộp thư từ chối nhận; cần kiểm tra địa chỉ hoặc máy chủ thư"


async def _refusals(ledger: Ledger, campaign_id: str) -> tuple[int, int]:
    """(refused, ended) attempts since the campaign was last resumed; what was accepted and came back is refused."""
    resumed = (
        select(func.max(EventRow.at))
        .where(EventRow.stream == campaign_id, EventRow.kind == str(Fact.RESUMED))
        .scalar_subquery()
    )
    since = Message.campaign_id == campaign_id, resumed.is_(None) | (Attempt.finished_at > resumed)
    rows = await ledger.rows(
        select(Attempt.outcome, func.count())
        .join(Message, Message.id == Attempt.message_id)
        .where(*since, Attempt.outcome.in_(("accepted", "refused")))
        .group_by(Attempt.outcome)
    )
    counted: dict[str, int] = {row[0]: int(row[1]) for row in rows}
    back = await ledger.session.scalar(
        select(func.count(Incoming.about.distinct()))
        .join(Message, Message.id == Incoming.about)
        .join(Attempt, Attempt.message_id == Message.id)
        .where(*since, Incoming.kind == "bounce_hard", Attempt.outcome == "accepted")
    )
    return counted.get("refused", 0) + int(back or 0), sum(counted.values())
