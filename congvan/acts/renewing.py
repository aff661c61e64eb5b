"""A letter that lay with the signer until the date that it prints had passed is drafted anew, with a later one."""

from __future__ import annotations

from datetime import datetime

from congvan.acts import papers
from congvan.acts.drafting import Draft, Instead, as_json, draft
from congvan.acts.frozen import policy_of, rule_of
from congvan.house import House
from congvan.letters.numbering import moment
from congvan.rules.protocol import Fact
from congvan.rules.records import LetterText
from congvan.rules.uploads import PDF
from congvan.store.ledger import Entry, Ledger
from congvan.store.office import Entered
from congvan.store.tables import Campaign, Hop, Letter


async def renew(house: House, letter_id: str) -> str:
    """Draft a waiting letter of a hop, or the one that is to replace it, anew where its date has passed; why, for its
    clerk, or "" where the letter stays as it is.

    What was entered for it said the old date and is dropped; a number that it has stays its own. A term that runs on
    the clock is left as it is: nobody signs a letter so quickly, and each mail says until when its recipient has time.
    """
    now = await house.clock.now()
    async with house.store.view() as ledger:
        letter = await ledger.get(Letter, letter_id)
        hop = await _hop_of(ledger, letter)
        passed = _first_due(letter)
        if hop is None or letter.state != "PENDING_ISSUE" or passed > now:
            return ""
        campaign = await ledger.get(Campaign, letter.campaign_id)
        levels = [who.level for who in rule_of(campaign, hop).recipients]
        if any(policy_of(campaign, hop, level).deadline.hours for level in levels):
            return ""
    made = await _drafted(house, letter, hop)
    rendered = house.press.render(made.sheet)
    async with house.store.act() as ledger:
        locked = await ledger.take(Hop, hop.id)
        row = await ledger.take(Letter, letter_id)
        if row.state == "PENDING_ISSUE" and _first_due(row) == passed:
            await ledger.change(
                Letter, Letter.id == row.id, subject=rendered.subject, sheet=as_json(made), html=rendered.page,
                sha256=await ledger.keep_file(rendered.pdf, PDF), created_at=now,
            )  # fmt: skip
            await ledger.remove(Entered, Entered.letter_id == row.id)
            said = {"letter": row.id, "redrafted": made.due_at.isoformat()}
            await ledger.write(locked, now, Entry(Fact.NOTED, said))
    return (
        f"thời hạn in trong văn bản này ({moment(passed)}) đã qua; hệ thống đã dự thảo lại với thời hạn mới "
        f"({moment(made.due_at)}), trình ký bản ấy"
    )


async def _hop_of(ledger: Ledger, letter: Letter) -> Hop | None:
    """The hop whose recipients a letter asks for an answer by its date; None: its date is no term of theirs."""
    if letter.hop_id is not None:
        return await ledger.get(Hop, letter.hop_id)
    if not papers.replaces(letter):
        return None
    return await ledger.get(Hop, (await ledger.get(Letter, letter.about)).hop_id)


def _first_due(letter: Letter) -> datetime:
    dues = letter.sheet.get("dues") or {}
    return min(datetime.fromisoformat(at) for at in dues.values() or [letter.sheet["due_at"]])


async def _drafted(house: House, letter: Letter, hop: Hop) -> Draft:
    if letter.hop_id is not None:
        return await draft(house, hop.id)
    said = letter.sheet["context"]
    words = LetterText.model_validate(said["letter"])
    return await draft(house, hop.id, instead=Instead(words, said["replaces"]))
