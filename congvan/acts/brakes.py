"""Brakes: a small share first, and a pause where too many mailboxes refuse. A person lets the rest go."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

from sqlalchemy import func, select

from congvan.acts import campaigns, notices
from congvan.acts.frozen import is_urgent
from congvan.acts.mails import LETTERS
from congvan.house import House
from congvan.mail.outgoing import Outcome
from congvan.rules.protocol import Fact
from congvan.store.ledger import Ledger
from congvan.store.tables import Attempt, Campaign, EventRow, Hop, Message

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
            if is_urgent(campaign) or await _was_resumed(ledger, campaign.id):
                return wanted
            letters = (Message.campaign_id == campaign.id) & Message.kind.in_(LETTERS)
            total = await ledger.count(select(Message.id).where(letters))
            begun = await ledger.count(select(Message.id).where(letters, Message.attempts > 0))
        left = math.ceil(total * share) - begun
        if left <= 0 and begun < total:
            self._why = f"đã gửi thử {begun}/{total} văn bản; chờ người phụ trách cho gửi tiếp"
        return max(0, min(wanted, left)) if begun < total else wanted

    async def look(self, outcomes: Sequence[Outcome]) -> None:
        """Note whether too many were refused since a person last let this campaign go on."""
        settings = self._house.settings
        if self._hop_id is None or not settings.refusal_brake or all(one.verdict != "refused" for one in outcomes):
            return
        async with self._house.store.view() as ledger:
            campaign = await _campaign_of(ledger, self._hop_id)
            refused, ended = await _refusals(ledger, campaign.id)
        if ended >= settings.refusal_brake_from and refused >= ended * settings.refusal_brake:
            self._why = f"{refused}/{ended} hộp thư từ chối nhận; cần kiểm tra địa chỉ hoặc máy chủ thư"
            await self.settle()

    async def settle(self) -> None:
        """Hold the campaign where a brake was pulled; its log says why."""
        if not self._why or self._hop_id is None:
            return
        async with self._house.store.view() as ledger:
            campaign = await _campaign_of(ledger, self._hop_id)
        log.warning("campaign %s is held: %s", campaign.code, self._why)
        await campaigns.hold(self._house, campaign.id, notices.ENGINE, self._why)
        self._why = ""


async def _campaign_of(ledger: Ledger, hop_id: str) -> Campaign:
    return await ledger.get(Campaign, (await ledger.get(Hop, hop_id)).campaign_id)


async def _was_resumed(ledger: Ledger, campaign_id: str) -> bool:
    return bool(
        await ledger.first(
            select(EventRow.seq).where(EventRow.stream == campaign_id, EventRow.kind == str(Fact.RESUMED))
        )
    )


async def _refusals(ledger: Ledger, campaign_id: str) -> tuple[int, int]:
    """(refused, ended) attempts since the campaign was last resumed."""
    resumed = (
        select(func.max(EventRow.at))
        .where(EventRow.stream == campaign_id, EventRow.kind == str(Fact.RESUMED))
        .scalar_subquery()
    )
    rows = await ledger.rows(
        select(Attempt.outcome, func.count())
        .join(Message, Message.id == Attempt.message_id)
        .where(Message.campaign_id == campaign_id, Attempt.outcome.in_(("accepted", "refused")))
        .where(resumed.is_(None) | (Attempt.finished_at > resumed))
        .group_by(Attempt.outcome)
    )
    counted: dict[str, int] = {row[0]: int(row[1]) for row in rows}
    return counted.get("refused", 0), sum(counted.values())
