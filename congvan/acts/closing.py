"""The end of a campaign: a named person closes it, and the Báo cáo to whoever gave the directive."""

from __future__ import annotations

from congvan.acts import campaigns, demo, escalations, letters, papers, reporting, seals
from congvan.acts.frozen import cascade_of
from congvan.errors import ActRefused
from congvan.house import House
from congvan.rules.protocol import Fact
from congvan.rules.uploads import PDF
from congvan.store.ledger import Entry, Ledger
from congvan.store.tables import Campaign, Letter


async def close(house: House, name: str, by: str, *, now_matter_what: bool = False) -> str:
    """Close a campaign and hand its report to be issued; return the report's letter id.

    Raise ActRefused while somebody is open of whom the last rung was not told, while a letter that is to take the
    place of another awaits its issue (nobody would be asked for the answer that it wants anew), and while the campaign
    is held: its unsent mail, this report's among it, would never leave. Late answers are still accepted afterwards.
    now_matter_what: only the last of these is looked at, and such a letter is dropped. So is a letter of the authority
    whose hop has not opened: it could not be issued any more.
    """
    if not by.strip():
        raise ActRefused("Cần họ tên người quyết định kết thúc.")
    now = await house.clock.now()
    async with house.store.view() as ledger:
        campaign = await campaigns.find(ledger, name)
        if campaign.state == "CLOSED" and campaign.report_letter_id:
            return campaign.report_letter_id
        await _may_close(ledger, campaign, now_matter_what)
    # The report bears the hash of this seal.
    await seals.seal(house, campaign.id)
    async with house.store.view() as ledger:
        sheet = await reporting.report_sheet(house, ledger, campaign, now, interim=False)
        before = await papers.pending(ledger, campaign.id, "report")
    sheet = reporting.with_words_of(before, sheet)
    rendered = house.press.render(sheet)
    async with house.store.act() as ledger:
        await escalations.lock_of_campaign(ledger, campaign.id)
        row = await ledger.take(Campaign, campaign.id)
        if row.state == "CLOSED" and row.report_letter_id:
            return row.report_letter_id
        await _may_close(ledger, row, now_matter_what)
        letter_id = house.new_id(now)
        # What the ladder had prepared says less than this one, and nobody is urged any more.
        unissued = [await papers.pending(ledger, row.id, kind) for kind in ("report", "urge")]
        dropped = [*await papers.replacements(ledger, row.id), *await papers.of_hops(ledger, row.id)]
        await papers.drop(ledger, [*(one for one in unissued if one is not None), *dropped])
        await escalations.tell_no_more(ledger, row.id)
        said = {"report": letter_id} | ({"dropped": [one.id for one in dropped]} if dropped else {})
        sha256 = await ledger.keep_file(rendered.pdf, PDF)
        until = letters.issue_until(house, row, now)
        await ledger.add(
            Letter,
            id=letter_id, campaign_id=row.id, hop_id=None, kind="report", issuer=cascade_of(row).speaks_for,
            state="PENDING_ISSUE", symbol="", subject=rendered.subject, html=rendered.page, sha256=sha256,
            sheet=sheet.model_dump(mode="json") | {"due_at": now.isoformat()}, created_at=now,
            awaits=cascade_of(row).drafting_unit or cascade_of(row).speaks_for, awaits_until=until,
        )  # fmt: skip
        await ledger.write(
            row, now, Entry(Fact.CLOSED, said, actor=by),
            state="CLOSED", closed_at=now, closed_by=by, report_letter_id=letter_id, wake_at=None,
        )  # fmt: skip
        if row.mode == "demo":
            at = demo.office_time(house, now, 2)
            await demo.play(house, ledger, "clerk", "issue", at, {"letter": letter_id}, row.id)
    await seals.seal(house, campaign.id)
    return letter_id


async def _may_close(ledger: Ledger, campaign: Campaign, now_matter_what: bool) -> None:
    if campaign.held_at is not None:
        raise ActRefused("Đợt triển khai đang giữ thư lại hoặc tạm dừng; cho tiếp tục rồi kết thúc.")
    if now_matter_what:
        return
    if not await campaigns.ready_to_close(ledger, campaign):
        raise ActRefused("Còn nơi nhận chưa xong mà cấp cuối chưa được báo; xem: congvan status")
    if await papers.replacements(ledger, campaign.id):
        raise ActRefused("Còn văn bản thay thế đang chờ ban hành; ban hành rồi kết thúc; xem: congvan letters")
