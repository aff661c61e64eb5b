"""Every delivery of a campaign as an XLSX workbook: recipients, issuers, and what was reported."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import xlsxwriter

from congvan.acts import answers
from congvan.commands.show import moment
from congvan.rules.labels import CHANNELS, DELIVERY_STATES, STILL_OPEN

_RECIPIENTS = (
    ("code", "Mã", 22), ("name", "Tổ chức", 44), ("park", "Khu công nghiệp", 26), ("issuer", "Đơn vị chuyển", 16),
    ("state", "Tình trạng", 22), ("due_at", "Thời hạn", 18), ("reminders", "Số lần nhắc", 10),
    ("escalated", "Đã báo cáo lên trên", 12), ("late", "Trả lời muộn", 8), ("confirmed_at", "Trả lời lúc", 18),
    ("channel", "Qua", 14),
)  # fmt: skip
_BRANCHES = (
    ("name", "Đơn vị chuyển", 44), ("total", "Số nơi nhận", 14), ("reached", "Đã gửi đến", 14),
    ("answered", "Đã trả lời", 14),
)  # fmt: skip
_GROUPS = (
    ("name", "Khu công nghiệp, nhóm đơn vị", 44), ("total", "Tổng số", 10), ("asked", "Phải trả lời", 12),
    ("done", "Đã hoàn thành", 12), ("late", "Trong đó sau thời hạn", 12), ("silent", "Chưa xác nhận", 12),
    ("partial", "Đã tiếp nhận, chưa hoàn thành", 14), ("undeliverable", "Gửi không thành công", 12),
    ("rejected", "Từ chối tiếp nhận", 12), ("not_sent", "Chưa được gửi đến", 12), ("exempt", "Miễn báo cáo", 12),
    ("withdrawn", "Đã thu hồi", 12),
)  # fmt: skip
_OPEN = (
    ("code", "Mã", 22), ("name", "Tổ chức", 44), ("park", "Khu công nghiệp", 26), ("issuer", "Đơn vị chuyển", 36),
    ("kind", "Tình trạng", 24), ("due_at", "Thời hạn", 18), ("reminders", "Số lần nhắc", 10), ("reason", "Lý do", 36),
    ("done", "Việc đã làm", 50),
)  # fmt: skip
_Columns = Sequence[tuple[str, str, int]]


def workbook(data: Mapping[str, Any], parks: Mapping[str, str]) -> bytes:
    """The workbook's bytes; data: as `report --format json` writes it. parks: codes to names.

    Cells are text: a formula in a company's name stays what it is. Equal data give equal bytes.
    """
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    book.set_properties({"created": datetime.fromisoformat(data["as_of"]).replace(tzinfo=None)})
    head = book.add_format({"bold": True, "text_wrap": True, "border": 1, "bg_color": "#E8EEF4", "valign": "vcenter"})
    cell = book.add_format({"text_wrap": True, "border": 1, "valign": "top"})
    recipients = [_said(one, parks) for one in data["deliveries"]]
    _fill(book.add_worksheet("Nơi nhận"), _RECIPIENTS, recipients, head, cell)
    _fill(book.add_worksheet("Đơn vị chuyển"), _BRANCHES, data["branches"], head, cell)
    _fill(book.add_worksheet("Theo khu và nhóm"), _GROUPS, data["groups"], head, cell)
    still = [{**one, "kind": STILL_OPEN[one["kind"]], "due_at": moment(one["due_at"])} for one in data["open"]]
    _fill(book.add_worksheet("Chưa hoàn thành"), _OPEN, still, head, cell)
    for level in data["figures"]:
        _figures(book, level, data, head, cell)
    book.close()
    return buffer.getvalue()


def _figures(book: Any, level: Mapping[str, Any], data: Mapping[str, Any], head: Any, cell: Any) -> None:
    """Two sheets for a level that reports figures: everybody's own, and the sums by park."""
    questions = level["questions"]
    own = [("code", "Mã", 22), ("name", "Tổ chức", 44), *((one["key"], _titled(one), 18) for one in questions)]
    rows = [
        {"code": one["code"], "name": one["name"]}
        | {question["key"]: _answer(question, _answers(data, one["id"])) for question in questions}
        for one in data["deliveries"]
        if one["level"] == level["level"]
    ]
    _fill(book.add_worksheet(f"Báo cáo {level['name']}"[:31]), own, rows, head, cell)
    _fill(book.add_worksheet(f"Tổng hợp {level['name']}"[:31]), *_sums(level), head, cell)


def _sums(level: Mapping[str, Any]) -> tuple[list[tuple[str, str, int]], list[dict[str, Any]]]:
    columns = [("name", "Khu công nghiệp", 36), ("asked", "Số đơn vị", 12), ("reported", "Đã báo cáo", 12)]
    rows: list[dict[str, Any]] = []
    for part in (*level["parks"], {"name": "Tổng cộng", **level}):
        name = "Tổng cộng" if part.get("level") else part["name"] or "Ngoài khu công nghiệp"
        row: dict[str, Any] = {"name": name, "asked": part["asked"], "reported": part["reported"]}
        for question in level["questions"]:
            for number, (label, unit, value) in enumerate(answers.lines(question, part["totals"][question["key"]])):
                key = f"{question['key']}/{number}"
                row[key] = value
                if not rows:
                    columns.append((key, f"{label} ({unit})" if unit else label, 18))
        rows.append(row)
    return columns, rows


def _answers(data: Mapping[str, Any], delivery_id: str) -> Mapping[str, Any]:
    answers: Mapping[str, Any] = data["reports"].get(delivery_id, {}).get("answers", {})
    return answers


def _titled(question: Mapping[str, Any]) -> str:
    return f"{question['title']} ({question['unit']})" if question["unit"] else str(question["title"])


def _answer(question: Mapping[str, Any], said: Mapping[str, Any]) -> Any:
    value = said.get(question["key"])
    if value is None:
        return ""
    if isinstance(value, bool):
        return "Có" if value else "Không"
    if isinstance(value, Mapping):
        return value["name"]
    return question["choices"].get(value, value) if question["choices"] else value


def _said(one: Mapping[str, Any], parks: Mapping[str, str]) -> dict[str, Any]:
    return {
        **one,
        "park": parks.get(one["park"], one["park"]), "state": DELIVERY_STATES.get(one["state"], one["state"]),
        "due_at": moment(one["due_at"]), "confirmed_at": moment(one["confirmed_at"]),
        "escalated": "có" if one["escalated"] else "", "late": "có" if one["late"] else "",
        "channel": CHANNELS.get(one["channel"] or "", one["channel"] or ""),
    }  # fmt: skip


def _fill(sheet: Any, columns: _Columns, rows: Sequence[Mapping[str, Any]], head: Any, cell: Any) -> None:
    for column, (_key, title, width) in enumerate(columns):
        sheet.set_column(column, column, width)
        sheet.write_string(0, column, title, head)
    for number, row in enumerate(rows, start=1):
        for column, (key, _title, _width) in enumerate(columns):
            value = row[key]
            if isinstance(value, int):
                sheet.write_number(number, column, value, cell)
            else:
                sheet.write_string(number, column, str(value), cell)
    sheet.set_row(0, 48)
    sheet.freeze_panes(1, 0)
    sheet.repeat_rows(0)
    sheet.set_paper(9)
    sheet.autofilter(0, 0, max(1, len(rows)), len(columns) - 1)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
