"""What a digest lists, and its table as XLSX."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from math import ceil
from typing import Any

from congvan.acts.frozen import cascade_of
from congvan.rules.calendar import Calendars, local
from congvan.rules.deadlines import working_days_late
from congvan.rules.labels import CASES, EVENTS, within
from congvan.rules.protocol import Event, Fact
from congvan.store.tables import Campaign, Case, Delivery, Hop

_COLUMNS = (
    ("campaign", "Đợt triển khai", 10), ("issuer", "Đơn vị chuyển", 22), ("code", "Mã", 14), ("name", "Tổ chức", 28),
    ("due", "Thời hạn", 11), ("days_late", "Số ngày làm việc quá hạn", 9), ("reminders", "Số lần nhắc", 6),
    ("contact", "Đầu mối liên hệ", 24), ("address", "Hộp thư", 22), ("reason", "Lý do", 16),
    ("claimed_by", "Người đang xử lý", 14), ("history", "Diễn biến", 36),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """One recipient that somebody has to look at."""

    campaign: str
    subject: str
    issuer: str
    park: str
    code: str
    name: str
    case: str
    case_name: str
    state: str
    due: str
    days_late: int
    reminders: int
    address: str
    reason: str
    claimed_by: str
    chemical: bool
    contact: str = ""
    history: str = ""
    #: Its id: where the officers' pages show it.
    delivery: str = ""

    @classmethod
    def of(
        cls,
        case: Case | None,
        delivery: Delivery,
        hop: Hop,
        campaign: Campaign,
        parks: Mapping[str, str],
        calendars: Calendars,
        now: datetime,
        *,
        officers: Mapping[str, str],
        contact: str = "",
        history: str = "",
    ) -> Line:
        """The line of one delivery. officers: as `full_names` gives them."""
        due = delivery.due_at
        kind, claimed = (case.kind, case.claimed_by or "") if case else ("", "")
        return cls(
            campaign=campaign.code, subject=campaign.subject, issuer=hop.issuer_name,
            park=parks.get(delivery.park) or _outside(campaign, delivery.level), code=delivery.code, name=delivery.name,
            case=kind, case_name=CASES.get(kind, ""), state=delivery.state,
            due=f"{local(due):%H:%M %d/%m/%Y}" if due else "",
            # On a Saturday on which the authority alone works it is told of what has passed all the same.
            days_late=max(1, working_days_late(due, now, calendars)) if due and now > due else 0,
            reminders=delivery.reminders, address=delivery.address or "", reason=delivery.reason or "",
            claimed_by=officers[claimed], chemical=bool(delivery.segments),
            contact=contact, history=history, delivery=delivery.id,
        )  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


def _outside(campaign: Campaign, level: str) -> str:
    """What those are listed as who stand in no park: outside any, where others of their level stand in one; else what
    they are."""
    cascade = cascade_of(campaign)
    in_parks = {who.level for hop in cascade.hops for who in hop.recipients if who.who == "parks"}
    return "Ngoài khu công nghiệp" if level in in_parks else cascade.levels.get(level, level)


#: Height of one line of text, in points.
_LINE_PT = 15

#: What a history names of the log of a delivery.
NAMED = (
    Event.SENT, Event.ARRIVED, Event.ACKNOWLEDGED, Event.STARTED, Fact.REMINDED, Fact.URGED, Fact.ESCALATED, Fact.TOLD,
    Fact.EXTENDED, Fact.MOVED, Event.REFUSED, Event.REJECTED, Event.READDRESSED, Fact.CLAIMED, Event.REPLACED,
)  # fmt: skip


def history_of(events: Iterable[Any], case: Case | None, officers: Mapping[str, str]) -> str:
    """What has been done about a delivery, day by day: "06/12 nhắc việc; 18/12 đôn đốc"; then the notes of its case.

    events: kind and instant, of the kinds in `NAMED`.
    """
    lines = list(dict.fromkeys(f"{local(event.at):%d/%m} {within(EVENTS[event.kind])}" for event in events))
    notes = [
        f"{local(datetime.fromisoformat(one['at'])):%d/%m} {officers[one['by']]}: {one['note']}"
        for one in _notes(case)
    ]
    return "; ".join([*lines, *notes])


def _notes(case: Case | None) -> list[Any]:
    return [one for one in case.notes if one.get("note")] if case is not None else []


def workbook(lines: Sequence[Line], now: datetime) -> bytes:
    """The XLSX of a digest: one sheet for each kind of case, grouped by park, the latest first.

    The creation date is fixed so that equal digests have equal bytes. Cells are written as text:
    a formula in a company's name stays what it is.
    """
    # Loaded where it is used: few processes write a table.
    import xlsxwriter

    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    book.set_properties({"created": now.replace(tzinfo=None)})
    looks = _Looks(
        book.add_format({"bold": True, "text_wrap": True, "border": 1, "bg_color": "#E8EEF4", "valign": "vcenter"}),
        book.add_format({"bold": True, "border": 1, "bg_color": "#F6F8FA"}),
        book.add_format({"text_wrap": True, "border": 1, "valign": "top"}),
    )
    for kind, title in CASES.items():
        groups: dict[str, list[Line]] = {}
        for line in sorted(lines, key=lambda line: (line.park, -line.days_late, line.code)):
            if line.case == kind:
                groups.setdefault(line.park, []).append(line)
        _fill(book.add_worksheet(title[:31]), groups, looks)
    book.close()
    return buffer.getvalue()


@dataclass(frozen=True, slots=True)
class _Looks:
    """The formats of headings, of a park's line and of cells."""

    head: Any
    park: Any
    cell: Any


def _fill(sheet: Any, groups: Mapping[str, Sequence[Line]], looks: _Looks) -> None:
    for column, (_key, title, width) in enumerate(_COLUMNS):
        sheet.set_column(column, column, width)
        sheet.write_string(0, column, title, looks.head)
    sheet.set_row(0, 4 * _LINE_PT)
    row = 1
    for park, lines in groups.items():
        sheet.merge_range(row, 0, row, len(_COLUMNS) - 1, f"{park} ({len(lines)})", looks.park)
        row += 1
        for line in lines:
            _write(sheet, row, line, looks.cell)
            sheet.set_row(row, _height(line), None, {"level": 1})
            row += 1
    sheet.freeze_panes(1, 0)
    sheet.outline_settings(True, False, True, False)
    sheet.repeat_rows(0)
    sheet.set_landscape()
    sheet.set_paper(8)  # A3
    sheet.set_margins(left=0.4, right=0.4, top=0.5, bottom=0.5)
    sheet.fit_to_pages(1, 0)


def _height(line: Line) -> float:
    """Points that the longest cell needs: not every program sets the height of a wrapped row by itself."""
    lines = max(ceil(len(str(getattr(line, key))) * 1.15 / width) for key, _title, width in _COLUMNS)
    return _LINE_PT * max(1, lines)


def _write(sheet: Any, row: int, line: Line, cell: Any) -> None:
    for column, (key, _title, _width) in enumerate(_COLUMNS):
        value = getattr(line, key)
        if isinstance(value, int):
            sheet.write_number(row, column, value, cell)
        else:
            sheet.write_string(row, column, value, cell)
