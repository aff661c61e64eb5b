"""The Báo cáo to whoever gave the directive, at the end or in between: figures, a chart, who is open and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import select

from congvan.acts import answers, papers, registry, results, wording
from congvan.acts.drafting import as_json, reread
from congvan.acts.frozen import cascade_of, plan_of
from congvan.acts.results import OpenOne, Results, Tally
from congvan.acts.signed_files import beside_the_loop
from congvan.acts.validity import who_signs
from congvan.errors import ActRefused, BadInput, Fault
from congvan.house import House
from congvan.letters import numbering
from congvan.letters.chart import answers_over_time
from congvan.letters.sheet import Appendix, Sheet
from congvan.rules.calendar import local
from congvan.rules.labels import STILL_OPEN
from congvan.rules.names import composed, one_line, without_illegible, without_unseen
from congvan.rules.protocol import Fact
from congvan.rules.uploads import PDF
from congvan.store.ledger import Entry, Ledger
from congvan.store.office import Entered
from congvan.store.tables import Campaign, Letter, Seal

CHART = "chart"
#: Characters in one thing that the office adds.
_LONGEST = 1_000
_FIELDS = {"findings": "Khó khăn, vướng mắc", "proposals": "Đề xuất, kiến nghị"}
#: Who is open stands in the text up to so many; more are an appendix.
_IN_TEXT = 10
#: Columns of figures that fit on one page of an appendix.
_ABREAST = 7
#: What the chart shows after the last thing that happened.
_SILENCE = timedelta(days=5)


async def report_sheet(house: House, ledger: Ledger, campaign: Campaign, now: datetime, *, interim: bool) -> Sheet:
    """The report as of now. interim: the campaign goes on, and the report says so."""
    plan, cascade = plan_of(campaign), cascade_of(campaign)
    speaker = await registry.organisation(ledger, cascade.speaks_for)
    parent = await registry.organisation(ledger, speaker.parent) if speaker.parent else None
    upwards = await registry.organisation(ledger, cascade.reports_to)
    first = await wording.speaking_letter(ledger, campaign)
    found = await results.results(ledger, campaign, now)
    levels = await answers.rolled(ledger, campaign)
    due = datetime.fromisoformat(first.sheet["due_at"]) if first else None
    day = local(due).date() if due else None
    drawing = answers_over_time(_told(found.days, day), found.total.asked, day)
    in_text = len(found.open) <= _IN_TEXT
    return Sheet(
        template="report", issuer=speaker.name, parent_authority=(parent.short_name or parent.name) if parent else "",
        abbreviation=speaker.abbreviation, symbol="{number}/BC-{abbreviation}", place=plan.letter.place,
        addressees=(upwards.name,), signer=who_signs(plan.letter.signer, speaker, local(now).date()),
        illustration=campaign.mode != "live",
        images={CHART: drawing} if drawing else {},
        appendices=tuple(_appendices(found, levels, in_text)),
        context={
            "interim": interim,
            "directives": [one.model_dump(mode="json") for one in plan.directives],
            "letter": plan.letter.model_dump(mode="json"),
            "forwarded": _first(first, speaker.name),
            "deadline": first.sheet["due_at"] if first else None,
            "as_of": now,
            "counts": found.total.as_dict(),
            "says": {kind: STILL_OPEN[kind] for kind in STILL_OPEN if found.total.counts[kind]},
            "tables": [_groups(found), *(_reported(level) for level in levels)],
            "silent": [list(row) for row in _rows(found.open)] if in_text else [],
            "silent_columns": list(_OPEN_COLUMNS),
            "silent_widths": list(_OPEN_SHARES),
            "open_total": len(found.open),
            "findings": [], "proposals": [], "chart": CHART if drawing else "",
            "seal": await _seal(ledger, campaign),
        },
    )  # fmt: skip


async def add(
    house: House, letter_id: str, by: str, *, findings: Sequence[str] | None = None,
    proposals: Sequence[str] | None = None, seen: str = "",
) -> None:  # fmt: skip
    """Put the office's own words into a report that awaits its issue, in the place of those that it had: khó khăn,
    vướng mắc; đề xuất, kiến nghị. None leaves a list as it is; its figures stay as they were drafted.

    seen: the hash of the draft that whoever writes has read; empty: the present one. Raise ActRefused for any other
    letter, for another draft, where somebody has entered a signed file (it says nothing of these words), and without a
    name; BadInput for a text that is too long; WordsRefused for words that no letter may bear.
    """
    if not by.strip():
        raise ActRefused("Cần họ tên người ghi.")
    given = {"findings": findings, "proposals": proposals}
    said = {name: _lines(name, texts) for name, texts in given.items() if texts is not None}
    async with house.store.view() as ledger:
        letter = await ledger.get(Letter, letter_id)
        await _refuse_other(ledger, letter, seen or letter.sha256)
    drafted = reread(letter)
    sheet = drafted.sheet.model_copy(update={"context": drafted.sheet.context | said})
    if sheet == drafted.sheet:
        return
    # Its appendix may list thousands.
    rendered = await beside_the_loop(house.press.render, sheet)
    now = await house.clock.now()
    async with house.store.act() as ledger:
        campaign = await ledger.take(Campaign, letter.campaign_id)
        row = await ledger.take(Letter, letter_id)
        await _refuse_other(ledger, row, letter.sha256)
        await ledger.change(
            Letter, Letter.id == row.id, subject=rendered.subject, html=rendered.page,
            sheet=as_json(replace(drafted, sheet=sheet)), sha256=await ledger.keep_file(rendered.pdf, PDF),
        )  # fmt: skip
        told = {"letter": row.id} | {name: len(lines) for name, lines in said.items()}
        await ledger.write(campaign, now, Entry(Fact.NOTED, told, actor=by))


async def _refuse_other(ledger: Ledger, letter: Letter, seen: str | None) -> None:
    if letter.kind != "report" or letter.state != "PENDING_ISSUE":
        raise ActRefused("Chỉ ghi được vào báo cáo đang chờ ban hành.")
    if letter.sha256 != seen:
        raise ActRefused("Đã có người sửa báo cáo này; đề nghị mở lại trang, xem dự thảo mới rồi ghi.")
    if await ledger.find(Entered, letter.id, fresh=True) is not None:
        raise ActRefused("Đã có tệp ký chờ duyệt cho báo cáo này; trả lại tệp ấy rồi ghi.")


def with_words_of(before: Letter | None, sheet: Sheet) -> Sheet:
    """The report that takes the place of one which was not issued, with what the office had written into that one."""
    if before is None:
        return sheet
    said = reread(before).sheet.context
    kept = {name: said[name] for name in ("findings", "proposals") if said.get(name)}
    return sheet.model_copy(update={"context": sheet.context | kept})


def _lines(name: str, texts: Sequence[str]) -> list[str]:
    """Each said once, on one line, in NFC and without what no page can print; raise BadInput."""
    lines = [one_line(without_illegible(without_unseen(composed(text, _LONGEST)))) for text in texts]
    for line in lines:
        if len(line) > _LONGEST:
            told = f"«{line[:40]}…» dài hơn {_LONGEST} ký tự"
            raise BadInput([Fault("", _FIELDS[name], told, "chia thành nhiều ý, mỗi ý một dòng")])
    return list(dict.fromkeys(line for line in lines if line))


def _told(days: Sequence[tuple[date, int]], due: date | None) -> Sequence[tuple[date, int]]:
    """Until some days after the last answer and the deadline: months of silence tell nothing."""
    moved = [day for (day, number), (_, before) in zip(days[1:], days, strict=False) if number != before]
    last = max([*moved, *([due] if due else []), days[0][0]]) + _SILENCE if days else None
    return [(day, number) for day, number in days if last is None or day <= last]


def _first(letter: Letter | None, issuer: str) -> dict[str, Any]:
    if letter is None or letter.issued_on is None:
        return {"number": "", "symbol": "", "date": "", "issuer": issuer, "short": issuer}
    return papers.cited_of(letter) | {"issuer": issuer, "short": issuer}


async def _seal(ledger: Ledger, campaign: Campaign) -> str:
    """The hash of the last seal: noted on paper, it cannot be written anew."""
    last = await ledger.first(select(Seal.hash).where(Seal.campaign_id == campaign.id).order_by(Seal.seq.desc()))
    return str(last or "")


def _groups(found: Results) -> dict[str, Any]:
    return {
        "title": "Kết quả theo khu công nghiệp và nhóm đơn vị",
        "columns": ["Khu công nghiệp, nhóm đơn vị", "Số đơn vị", "Đã xác nhận", "Sau thời hạn", "Chưa hoàn thành"],
        "rows": [_group(tally) for tally in (*found.groups, found.total)],
        "widths": ["44%", "14%", "14%", "14%", "14%"],
        "total": True,
    }


def _group(tally: Tally) -> list[Any]:
    open_ones = sum(tally.counts[kind] for kind in STILL_OPEN)
    return [tally.name, tally.asked, tally.counts["done"], tally.late, open_ones]


def _reported(level: Mapping[str, Any]) -> dict[str, Any]:
    """The sums of what one level reported."""
    return {
        "title": f"Số liệu báo cáo ({level['name']}: {level['reported']}/{level['asked']} đơn vị đã báo cáo)",
        "columns": ["Nội dung", "Đơn vị tính", "Số liệu"],
        "rows": [
            list(line)
            for question in level["questions"]
            for line in answers.lines(question, level["totals"][question["key"]])
        ],
        "widths": ["60%", "20%", "20%"],
    }


_OPEN_COLUMNS = ("TT", "Tổ chức", "Khu công nghiệp", "Tình trạng", "Việc đã làm")
_OPEN_SHARES = ("8%", "32%", "20%", "18%", "22%")


def _rows(open_ones: Sequence[OpenOne]) -> list[tuple[str, ...]]:
    return [
        (
            str(number), one.name, one.park or "–",
            STILL_OPEN[one.kind] + (f": {numbering.quoted(one.reason)}" if one.reason else ""), one.done or "–",
        )
        for number, one in enumerate(open_ones, 1)
    ]  # fmt: skip


def _appendices(found: Results, levels: Sequence[Mapping[str, Any]], in_text: bool) -> list[Appendix]:
    made = []
    if not in_text:
        made.append(
            Appendix(
                title="Danh sách đơn vị chưa hoàn thành và việc đã thực hiện", columns=_OPEN_COLUMNS,
                rows=tuple(_rows(found.open)), widths=("10mm", "2.2fr", "1.4fr", "1.3fr", "2.4fr"), landscape=True,
            )
        )  # fmt: skip
    for level in levels:
        made += _by_park(level)
    return made


def _by_park(level: Mapping[str, Any]) -> list[Appendix]:
    """The figures of each park, so many abreast that they can be read."""
    parts = [*level["parks"], {**level, "name": "Tổng cộng"}]
    lines = [
        [line for question in level["questions"] for line in answers.lines(question, part["totals"][question["key"]])]
        for part in parts
    ]
    labels = [f"{label} ({unit})" if unit else label for label, unit, _number in lines[0]]
    made = []
    for start in range(0, len(labels), _ABREAST):
        span = slice(start, start + _ABREAST)
        rows = [
            (
                part["name"] or "Ngoài khu công nghiệp", f"{part['reported']}/{part['asked']}",
                *(f"{number:,}".replace(",", ".") for _label, _unit, number in own[span]),
            )
            for part, own in zip(parts, lines, strict=True)
        ]  # fmt: skip
        made.append(
            Appendix(
                title=f"Số liệu báo cáo theo khu công nghiệp ({level['name']})", landscape=True,
                columns=("Khu công nghiệp", "Đã báo cáo", *labels[span]), rows=tuple(rows),
                widths=("2.4fr", "1fr", *(["1fr"] * len(labels[span]))),
            )
        )  # fmt: skip
    return made
