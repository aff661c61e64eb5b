"""`congvan report`: one campaign as a letter, a workbook or data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from congvan.commands.session import opened
from congvan.commands.show import place, save

if TYPE_CHECKING:
    from congvan.house import House
    from congvan.letters.sheet import Sheet


async def report(campaign: str, /, *, format: Literal["pdf", "docx", "xlsx", "json"], out: Path) -> None:
    """Báo cáo một đợt tính đến bây giờ.

    Parameters
    ----------
    campaign
        Mã của đợt.
    format
        pdf: dự thảo Báo cáo; docx: để sửa trong Word; xlsx: bảng từng nơi nhận; json: số liệu.
    out
        Tệp sẽ ghi.
    """
    place(out)
    async with opened() as house:
        written = await {"pdf": _pdf, "docx": _docx, "xlsx": _xlsx, "json": _json}[format](house, campaign)
    save(out, written)


async def _pdf(house: House, name: str) -> bytes:
    return house.press.render(await _sheet(house, name)).pdf


async def _docx(house: House, name: str) -> bytes:
    from congvan.commands.papers import word_copy

    return word_copy(house, await _sheet(house, name))


async def _sheet(house: House, name: str) -> Sheet:
    from congvan.acts import campaigns, reporting

    now = await house.clock.now()
    async with house.store.view() as ledger:
        campaign = await campaigns.find(ledger, name)
        return await reporting.report_sheet(house, ledger, campaign, now, interim=campaign.state == "RUNNING")


async def _data(house: House, name: str) -> dict[str, Any]:
    from dataclasses import asdict

    from congvan.acts import answers, campaigns, figures, results

    now = await house.clock.now()
    async with house.store.view() as ledger:
        campaign = await campaigns.find(ledger, name)
        branches = await figures.branches(ledger, campaign)
        rolled = await answers.rolled(ledger, campaign)
        said = await answers.given(ledger, campaign)
        found = await results.results(ledger, campaign, now)
    return {
        "as_of": now.isoformat(),
        "campaign": (await figures.status(house, campaign.id))["campaigns"][0],
        "branches": branches,
        "groups": [tally.as_dict() for tally in (*found.groups, found.total)],
        "days": [[day.isoformat(), number] for day, number in found.days],
        "open": [asdict(one) | {"due_at": one.due_at.isoformat() if one.due_at else None} for one in found.open],
        "figures": rolled,
        "reports": said,
        "deliveries": await figures.deliveries(house, campaign.id),
    }


async def _json(house: House, name: str) -> bytes:
    import orjson

    return orjson.dumps(await _data(house, name), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


async def _xlsx(house: House, name: str) -> bytes:
    from congvan.acts import registry
    from congvan.commands.workbook import workbook

    data = await _data(house, name)
    async with house.store.view() as ledger:
        parks = await registry.park_names(ledger)
    return workbook(data, parks)
