"""What a digest lists, and its table as XLSX."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import xlsxwriter

from congvan.rules.calendar import Calendars, local
from congvan.rules.deadlines import working_days_late
from congvan.store.tables import Campaign, Case, Delivery, Hop

#: Vietnamese names of the cases, in the order in which they are listed.
CASES = {
    "silent": "Quá hạn chưa xác nhận",
    "undeliverable": "Không gửi được",
    "rejected": "Từ chối tiếp nhận, trả lại",
}
_COLUMNS = (
    ("campaign", "Đợt triển khai", 14), ("park", "Khu công nghiệp", 26), ("issuer", "Đơn vị chuyển", 32),
    ("code", "Mã", 18), ("name", "Tổ chức", 44), ("case_name", "Tình trạng", 24), ("due", "Thời hạn", 18),
    ("days_late", "Số ngày làm việc quá hạn", 12), ("reminders", "Số lần nhắc", 10),
    ("address", "Hộp thư", 30), ("reason", "Lý do", 40), ("claimed_by", "Người đang xử lý", 20),
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
    ) -> Line:
        """The line of one delivery."""
        due = delivery.due_at
        kind = case.kind if case else ""
        return cls(
            campaign=campaign.code, subject=campaign.subject, issuer=hop.issuer_name,
            park=parks.get(delivery.park, "Ngoài khu công nghiệp"), code=delivery.code, name=delivery.name,
            case=kind, case_name=CASES.get(kind, ""), state=delivery.state,
            due=f"{local(due):%H:%M %d/%m/%Y}" if due else "",
            days_late=working_days_late(due, now, calendars) if due else 0,
            reminders=delivery.reminders, address=delivery.address or "", reason=delivery.reason or "",
            claimed_by=(case.claimed_by or "") if case else "", chemical=bool(delivery.segments),
        )  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


def workbook(lines: Sequence[Line], now: datetime) -> bytes:
    """The XLSX of a digest: one sheet for each kind of case, grouped by park, the latest first.

    The creation date is fixed so that equal digests have equal bytes. Cells are written as text:
    a formula in a company's name stays what it is.
    """
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    book.set_properties({"created": now.replace(tzinfo=None)})
    head = book.add_format({"bold": True, "text_wrap": True, "border": 1, "bg_color": "#E8EEF4", "valign": "vcenter"})
    cell = book.add_format({"text_wrap": True, "border": 1, "valign": "top"})
    for kind, title in CASES.items():
        chosen = sorted(
            (line for line in lines if line.case == kind), key=lambda line: (line.park, -line.days_late, line.code)
        )
        _fill(book.add_worksheet(title[:31]), chosen, head, cell)
    book.close()
    return buffer.getvalue()


def _fill(sheet: Any, lines: Sequence[Line], head: Any, cell: Any) -> None:
    for column, (_key, title, width) in enumerate(_COLUMNS):
        sheet.set_column(column, column, width)
        sheet.write_string(0, column, title, head)
    for row, line in enumerate(lines, start=1):
        for column, (key, _title, _width) in enumerate(_COLUMNS):
            value = getattr(line, key)
            if isinstance(value, int):
                sheet.write_number(row, column, value, cell)
            else:
                sheet.write_string(row, column, value, cell)
    sheet.freeze_panes(1, 0)
    sheet.autofilter(0, 0, max(1, len(lines)), len(_COLUMNS) - 1)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
