"""The filtered table as a file: CSV or a workbook, in which nothing that somebody wrote is a formula."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime

import xlsxwriter
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from congvan.acts import roll
from congvan.portal.files import disposition
from congvan.portal.office.asked import asked
from congvan.portal.office.campaigns import Campaigns
from congvan.portal.office.counter import Counter, Seat
from congvan.registry.cells import guard
from congvan.rules.calendar import local

_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
#: Heading and width of each column, in the order of `_line`.
COLUMNS = (
    ("Mã", 16), ("Đơn vị", 44), ("Cấp", 22), ("Khu công nghiệp", 26), ("Đơn vị chuyển", 16), ("Trạng thái", 20),
    ("Thời hạn", 18), ("Trả lời lúc", 18), ("Qua", 16), ("Số lần nhắc", 10), ("Quá hạn", 9), ("Trả lời muộn", 10),
    ("Đã báo cáo lên trên", 12), ("Lý do", 40), ("Mã theo dõi", 22),
)  # fmt: skip


class ExportPages:
    """The routes of exports. A workbook holds what the table shows, all pages of it, and no contact of anybody."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._campaigns = Campaigns(counter)

    def routes(self) -> list[Route]:
        """Looking, for everybody who may look."""
        look = self._counter.look
        return [
            look("/c/{campaign}/export.csv", self.csv),
            look("/c/{campaign}/export.xlsx", self.xlsx),
        ]

    async def csv(self, seat: Seat) -> Response:
        """UTF-8 with a mark at its start, so that a spreadsheet opened by double click shows the diacritics."""
        code = str(seat.request.path_params["campaign"])
        await roll.campaign_of(self._counter.house, code)
        headers = {"Content-Disposition": disposition(f"noi-nhan-{code}.csv", inline=False)}
        return StreamingResponse(self._csv(seat, code), media_type="text/csv; charset=utf-8", headers=headers)

    async def xlsx(self, seat: Seat) -> Response:
        """A workbook; every cell is text or a number, none is a formula."""
        code = str(seat.request.path_params["campaign"])
        lines = [line async for line in self._lines(seat, code)]
        data = await asyncio.to_thread(workbook, lines)
        headers = {"Content-Disposition": disposition(f"noi-nhan-{code}.xlsx", inline=False)}
        return Response(data, media_type=_XLSX, headers=headers)

    async def _csv(self, seat: Seat, code: str) -> AsyncIterator[bytes]:
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\r\n")
        writer.writerow([heading for heading, _width in COLUMNS])
        yield b"\xef\xbb\xbf"
        async for line in self._lines(seat, code):
            writer.writerow(line)
            if buffer.tell() > 64 * 1024:
                yield buffer.getvalue().encode()
                buffer.seek(0)
                buffer.truncate()
        yield buffer.getvalue().encode()

    async def _lines(self, seat: Seat, code: str) -> AsyncIterator[list[str | int]]:
        campaign = await roll.campaign_of(self._counter.house, code)
        choices = await self._campaigns.choices(campaign)
        view = asked(seat.request.query_params, seat.by)
        async for entries in roll.everything(self._counter.house, campaign.id, view.wanted):
            for one in entries:
                yield self._line(one, choices["park_names"], dict(choices["levels"]))

    def _line(self, one: roll.Entry, parks: Mapping[str, str], levels: Mapping[str, str]) -> list[str | int]:
        word = self._counter.desk.pages.word
        texts: Sequence[str | int] = (
            one.recipient, one.name, levels.get(one.level, one.level), parks.get(one.park, one.park), one.issuer,
            word(f"state_{one.state.value}", "vi"), _at(one.due_at), _at(one.confirmed_at),
            word(f"channel_{one.channel}", "vi") if one.channel else "", one.reminders, _yes(one.overdue),
            _yes(one.late), _yes(one.escalated), one.reason, one.code,
        )  # fmt: skip
        return [guard(text) if isinstance(text, str) else text for text in texts]


def workbook(lines: Sequence[Sequence[str | int]]) -> bytes:
    """The lines under their headings."""
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True, "constant_memory": True}) as book:
        sheet = book.add_worksheet("Nơi nhận")
        bold = book.add_format({"bold": True, "bg_color": "#F2F2F2", "bottom": 1, "text_wrap": True})
        for position, (heading, width) in enumerate(COLUMNS):
            sheet.set_column(position, position, width)
            sheet.write_string(0, position, heading, bold)
        sheet.freeze_panes(1, 2)
        sheet.autofilter(0, 0, max(len(lines), 1), len(COLUMNS) - 1)
        for number, line in enumerate(lines, 1):
            for position, value in enumerate(line):
                if isinstance(value, int):
                    sheet.write_number(number, position, value)
                else:
                    sheet.write_string(number, position, value[:32_000])
    return buffer.getvalue()


def _at(instant: datetime | None) -> str:
    return f"{local(instant):%d/%m/%Y %H:%M}" if instant else ""


def _yes(fact: bool) -> str:
    return "có" if fact else ""
