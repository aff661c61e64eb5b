"""The end of a campaign: a named person closes it, and the Báo cáo to whoever gave the directive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from congvan.acts import answers, campaigns, demo, escalations, figures, letters, papers, registry, seals, wording
from congvan.acts.digest import Line
from congvan.acts.frozen import cascade_of, plan_of
from congvan.errors import ActRefused
from congvan.house import House
from congvan.letters.sheet import Sheet
from congvan.rules.protocol import Fact, State, settling_states
from congvan.rules.records import Settles
from congvan.store.ledger import Entry, Ledger
from congvan.store.tables import Campaign, Case, Delivery, Letter


async def close(house: House, name: str, by: str, *, now_matter_what: bool = False) -> str:
    """Close a campaign and hand its report to be issued; return the report's letter id.

    Raise ActRefused while somebody is open of whom the last rung was not told. Late answers are still
    accepted afterwards.
    """
    if not by.strip():
        raise ActRefused("a campaign is closed by a named person: --by NAME")
    now = await house.clock.now()
    async with house.store.view() as ledger:
        campaign = await campaigns.find(ledger, name)
        if campaign.state == "CLOSED" and campaign.report_letter_id:
            return campaign.report_letter_id
        if not now_matter_what and not await campaigns.ready_to_close(ledger, campaign):
            raise ActRefused("somebody is still open of whom the last rung was not told; see `congvan status`")
        sheet = await report_sheet(house, ledger, campaign, now)
    rendered = house.press.render(sheet)
    async with house.store.act() as ledger:
        row = await ledger.take(Campaign, campaign.id)
        if row.state == "CLOSED" and row.report_letter_id:
            return row.report_letter_id
        # What the ladder had prepared says less than this one.
        interim = await papers.pending(ledger, row.id, "report")
        await papers.drop(ledger, [interim] if interim else [])
        letter_id = house.new_id(now)
        sha256 = await ledger.keep_file(rendered.pdf, letters.PDF)
        until = letters.issue_until(house, row, now)
        await ledger.add(
            Letter,
            id=letter_id, campaign_id=row.id, hop_id=None, kind="report", issuer=cascade_of(row).speaks_for,
            state="PENDING_ISSUE", symbol="", subject=rendered.subject, html=rendered.page, sha256=sha256,
            sheet=sheet.model_dump(mode="json") | {"due_at": now.isoformat()}, created_at=now,
            awaits=cascade_of(row).drafting_unit or cascade_of(row).speaks_for, awaits_until=until,
        )  # fmt: skip
        await ledger.write(
            row, now, Entry(Fact.CLOSED, {"report": letter_id}, actor=by),
            state="CLOSED", closed_at=now, closed_by=by, report_letter_id=letter_id, wake_at=None,
        )  # fmt: skip
        if row.mode == "demo":
            at = demo.office_time(house, now, 2)
            await demo.play(house, ledger, "clerk", "issue", at, {"letter": letter_id}, row.id)
    await seals.seal(house, campaign.id)
    return letter_id


async def report_sheet(house: House, ledger: Ledger, campaign: Campaign, now: datetime) -> Sheet:
    """The Báo cáo as of now: figures by branch, and the list of those who have not answered."""
    plan, cascade = plan_of(campaign), cascade_of(campaign)
    speaker = await registry.organisation(ledger, cascade.speaks_for)
    parent = await registry.organisation(ledger, speaker.parent) if speaker.parent else None
    city = await registry.organisation(ledger, cascade.reports_to)
    first = await wording.speaking_letter(ledger, campaign)
    counts = await figures.totals(ledger, campaign.id, now)
    symbol = "{number}/BC-{abbreviation}"
    return Sheet(
        template="report", issuer=speaker.name, parent_authority=parent.name if parent else "",
        abbreviation=speaker.abbreviation, symbol=symbol, place=plan.letter.place, addressees=(city.name,),
        signer=plan.letter.signer, illustration=campaign.mode != "live",
        context={
            "directives": [one.model_dump(mode="json") for one in plan.directives],
            "letter": plan.letter.model_dump(mode="json"),
            "forwarded": _first(first, speaker.name),
            "deadline": first.sheet["due_at"] if first else None,
            "as_of": now,
            "counts": {
                "asked": counts.get("total", 0) - counts.get("EXEMPT", 0) - counts.get("WITHDRAWN", 0),
                "answered": counts.get("settled", 0) - counts.get("EXEMPT", 0) - counts.get("WITHDRAWN", 0),
                "late": counts["late"], "silent": counts.get("total", 0) - counts.get("settled", 0),
            },
            "tables": [await _branches(ledger, campaign), *_reported(await answers.rolled(ledger, campaign))],
            "silent": await _silent(house, ledger, campaign, now),
            "silent_columns": ["Tổ chức", "Khu công nghiệp", "Tình trạng", "Số lần nhắc"],
            "findings": [], "proposals": [], "chart": "",
        },
    )  # fmt: skip


def _first(letter: Letter | None, issuer: str) -> dict[str, Any]:
    if letter is None or letter.issued_on is None:
        return {"number": "", "symbol": "", "date": "", "issuer": issuer, "short": issuer}
    return {
        "number": str(letter.number), "symbol": letter.symbol.partition("/")[2],
        "date": letter.issued_on.isoformat(), "issuer": issuer, "short": issuer,
    }  # fmt: skip


async def _branches(ledger: Ledger, campaign: Campaign) -> dict[str, Any]:
    rows = await figures.branches(ledger, campaign)
    return {
        "title": "Kết quả theo đơn vị chuyển",
        "columns": ["Đơn vị chuyển", "Số đơn vị nhận", "Đã gửi đến", "Đã xác nhận"],
        "rows": [[row["name"], row["total"], row["reached"], row["answered"]] for row in rows],
        "widths": ["46%", "18%", "18%", "18%"],
    }


def _reported(levels: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The sums of what was reported, a table a level."""
    return [
        {
            "title": f"Số liệu báo cáo ({level['name']}: {level['reported']}/{level['asked']} đơn vị đã báo cáo)",
            "columns": ["Nội dung", "Đơn vị tính", "Số liệu"],
            "rows": [
                list(line)
                for question in level["questions"]
                for line in answers.lines(question, level["totals"][question["key"]])
            ],
            "widths": ["60%", "20%", "20%"],
        }
        for level in levels
    ]


#: What the report says of an open obligation.
_SAYS = {
    "silent": "chưa xác nhận",
    "undeliverable": "không gửi được",
    "rejected": "từ chối tiếp nhận",
    "": "chưa được gửi đến",
}


async def _silent(house: House, ledger: Ledger, campaign: Campaign, now: datetime) -> list[list[Any]]:
    open_ones = [
        row
        for row in await ledger.all(
            select(Delivery).where(Delivery.campaign_id == campaign.id).order_by(Delivery.code)
        )
        if row.state not in settling_states(Settles(row.settles))
    ]
    cases = {
        case.delivery_id: case
        for case in await ledger.all(
            select(Case).where(Case.campaign_id == campaign.id, Case.closed_at.is_(None)).order_by(Case.opened_at)
        )
    }
    members = [(cases.get(row.id), row) for row in open_ones]
    lines = await escalations.describe(house, ledger, members, {campaign.id: campaign}, now)
    return [[line.name, line.park, _says(line), line.reminders] for line in lines]


def _says(line: Line) -> str:
    # Before the grace is over nobody has a case; who has the letter is silent all the same.
    return _SAYS[line.case if line.case or line.state == State.QUEUED else "silent"]
