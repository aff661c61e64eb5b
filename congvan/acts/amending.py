"""An issued letter is replaced by another (thay thế) or corrected (đính chính): both wait for the clerk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from congvan.acts import papers, registry
from congvan.acts.drafting import Draft, Instead, draft, letterhead
from congvan.acts.frozen import cascade_of, plan_of, rule_of
from congvan.acts.issuing import play_issue
from congvan.acts.launch_check import of_form
from congvan.acts.papers import cited_of
from congvan.acts.validity import who_signs
from congvan.errors import ActRefused, BadInput
from congvan.house import House
from congvan.letters.lint import lint
from congvan.letters.sheet import Sheet
from congvan.rules.calendar import local
from congvan.rules.protocol import Fact
from congvan.rules.records import Issue, LetterText
from congvan.store.ledger import Entry, Ledger
from congvan.store.tables import Campaign, Hop, Letter


@dataclass(frozen=True, slots=True)
class Slip:
    """One place that is corrected: what the letter says, and what it should have said."""

    wrong: str
    right: str


async def replace(
    house: House, letter_id: str, words: LetterText, by: str, why: str, *, source: str = "plan",
    lines: Mapping[str, int] | None = None,
) -> str:  # fmt: skip
    """Draft the letter that takes the place of an issued or recalled one, and hand it to the clerk; its id.

    NĐ 30/2020 Điều 18.3: what was wrong in its contents is set right by a document of the same form. It cites the
    old one; until it is issued, the old one stands. Raise BadInput with the errors of form that would have stopped a
    launch; source, lines: the file of the new words, as `launches.Launch` names it.
    """
    if not why.strip():
        raise ActRefused("Cần ghi rõ lý do thay thế.")
    async with house.store.view() as ledger:
        old, hop, campaign = await _issued(ledger, letter_id)
        if old.state == "CANCELLED" and hop.letter_id != old.id:
            raise ActRefused("Văn bản này đã hủy và không còn là văn bản của chặng.")
        await _refuse_second(ledger, campaign, old)
        plan = plan_of(campaign).model_copy(update={"letter": words})
        if faults := list(of_form(lint(plan, cascade_of(campaign)), source, lines or {})):
            raise BadInput(faults)
    cited = cited_of(old) | {"why": why}
    made = await draft(house, hop.id, instead=Instead(words, cited))
    return await _submit(house, campaign.id, old, made, by, why)


async def correct(house: House, letter_id: str, slips: Sequence[Slip], by: str, why: str = "") -> str:
    """Draft the công văn đính chính of an issued letter, and hand it to the clerk; its id.

    NĐ 30/2020 Điều 18.3: faults of form and procedure are corrected by a công văn; the letter itself stands.
    """
    if not slips or not all(one.wrong.strip() and one.right.strip() for one in slips):
        raise ActRefused("Cần ghi chỗ đã in và chỗ đính chính.")
    async with house.store.view() as ledger:
        old, _hop, campaign = await _issued(ledger, letter_id)
        if old.state != "ISSUED":
            raise ActRefused("Chỉ đính chính văn bản đang có hiệu lực.")
        await _refuse_second(ledger, campaign, old)
        plan = plan_of(campaign)
        issuer = await registry.organisation(ledger, old.issuer)
        due = await house.clock.now()
        today = local(due).date()
        sheet = Sheet(
            template="correction", **await letterhead(ledger, issuer, today), symbol=old.sheet["symbol"],
            place=plan.letter.place, addressees=tuple(old.sheet["addressees"]),
            distribution=tuple(old.sheet["distribution"]), urgency=plan.urgency,
            signer=who_signs(plan.letter.signer, issuer, today),
            illustration=campaign.mode != "live",
            context={
                "corrects": cited_of(old), "slips": [{"wrong": one.wrong, "right": one.right} for one in slips],
                "why": why,
            },
        )  # fmt: skip
    return await _submit(house, campaign.id, old, Draft(sheet, due), by, why)


async def _issued(ledger: Ledger, letter_id: str) -> tuple[Letter, Hop, Campaign]:
    old = await ledger.get(Letter, letter_id)
    campaign = await ledger.get(Campaign, old.campaign_id)
    hop = await ledger.get(Hop, old.hop_id) if old.hop_id else None
    if hop is None or hop.opened_at is None or old.state not in ("ISSUED", "CANCELLED"):
        raise ActRefused("Chỉ thay thế, đính chính được văn bản đã ban hành của một chặng.")
    if rule_of(campaign, hop).issue is not Issue.SIGNED:
        raise ActRefused("Văn bản của doanh nghiệp do doanh nghiệp tự thay thế, đính chính.")
    if campaign.state == "CLOSED":
        raise ActRefused("Đợt triển khai đã kết thúc.")
    return old, hop, campaign


async def _refuse_second(ledger: Ledger, campaign: Campaign, old: Letter) -> None:
    for kind in (old.kind, "correction"):
        waiting = await papers.pending(ledger, campaign.id, kind)
        if waiting is not None and waiting.about == old.id:
            raise ActRefused("Đã có văn bản thay thế hoặc đính chính đang chờ ban hành.")


async def _submit(house: House, campaign_id: str, old: Letter, made: Draft, by: str, why: str) -> str:
    rendered = house.press.render(made.sheet)
    now = await house.clock.now()
    async with house.store.act() as ledger:
        hop = await ledger.take(Hop, old.hop_id)
        campaign = await ledger.take(Campaign, campaign_id)
        await _issued(ledger, old.id)
        await _refuse_second(ledger, campaign, old)
        letter_id = await papers.submit(house, ledger, campaign, made, rendered, now, about=old.id)
        said = {"letter": letter_id, "about": old.id, "why": why}
        await ledger.write(hop, now, Entry(Fact.LETTER_DRAFTED, said, actor=by))
    if campaign.mode == "exercise":
        await play_issue(house, letter_id, "exercise")
    return letter_id
