"""Tables → rows: which table is it, which column is what, and the values of every cell."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from congvan.errors import Fault
from congvan.registry.cells import BadCell, Value, value_of
from congvan.registry.columns import EXAMPLES, IGNORED, KINDS, Column, Kind, recognised
from congvan.registry.faults import meant, shown
from congvan.registry.tables import Table
from congvan.registry.workbook import Cell
from congvan.rules.names import fold

#: A title may stand above the headings, in so many rows.
_TITLE_ROWS = 20
#: Sheets of our own template that hold no records.
_OUR_OTHER_SHEETS = frozenset({"huong dan", "danh muc"})


@dataclass(frozen=True, slots=True)
class Row:
    """One row of one table. number: the spreadsheet's, 1 = the first. values: by field, filled cells only.

    asked: the fields of which the table has a column. spoiled: those whose cells could not be used and were told of.
    """

    table: Table
    kind: Kind
    number: int
    asked: frozenset[str] = frozenset()
    values: dict[str, Value] = field(default_factory=dict)
    spoiled: set[str] = field(default_factory=set)

    def fault(self, field_name: str, message: str, remedy: str) -> Fault:
        """A fault in this row, under the heading of that field."""
        return Fault(self.table.where, self.kind.heading(field_name), message, remedy, self.number)

    def text(self, field_name: str) -> str:
        """A value as text, empty where there is none."""
        value = self.values.get(field_name)
        return "" if value is None else str(value)

    def codes(self, field_name: str) -> tuple[str, ...]:
        """The codes of a cell that lists several."""
        value = self.values.get(field_name)
        return value if isinstance(value, tuple) else ()


@dataclass(slots=True)
class Reading:
    """What has been read so far: rows by kind, and the faults."""

    rows: dict[str, list[Row]] = field(default_factory=lambda: {kind.name: [] for kind in KINDS})
    faults: list[Fault] = field(default_factory=list)


def read_rows(tables: Sequence[Table]) -> Reading:
    """The rows of all tables, with every fault of headings and cells."""
    reading = Reading()
    for table in tables:
        if fold(table.sheet) in _OUR_OTHER_SHEETS:
            continue
        top = _heading_row(table)
        if top is None:
            reading.faults.extend(_unrecognised(table))
            continue
        number, kind = top
        columns = _columns(table, number, kind, reading.faults)
        width = len(table.rows[number - 1])
        asked = frozenset(column.field for column in columns.values())
        for index, cells in enumerate(table.rows[number:], number + 1):
            if any(str(cell).strip() for cell in cells[width:]):
                reading.faults.append(_too_long(table, index))
            if _swallowed(table, cells, width):
                reading.faults.append(_torn(table, index))
            elif any(cell != "" for cell in cells):
                row = _read_row(Row(table, kind, index, asked), columns, cells, reading.faults)
                if row.values or row.spoiled:
                    reading.rows[kind.name].append(row)
    return reading


def _too_long(table: Table, number: int) -> Fault:
    remedy = "đặt ô có dấu phân cách (phẩy, chấm phẩy) trong dấu nháy kép, hoặc lưu thành .xlsx"
    return Fault(table.where, "", "dòng có nhiều ô hơn dòng tiêu đề", remedy, number)


def _swallowed(table: Table, cells: Sequence[Cell], width: int) -> bool:
    """Whether two quotes of different rows made one cell of all between them: it holds the rest of its own row and
    as many delimiters as a row has."""
    if not table.delimiter:
        return False
    most, over = width - 1, max(0, len(cells) - width)
    for position, cell in enumerate(cells):
        first, *more = re.split(r"[\r\n]", str(cell), maxsplit=1)
        whole = position + first.count(table.delimiter) >= most
        if more and whole and str(cell).count(table.delimiter) + over >= most:
            return True
    return False


def _torn(table: Table, number: int) -> Fault:
    remedy = "kiểm tra dấu nháy kép ở dòng này và các dòng sau; ô nhiều dòng thì viết lại trên một dòng"
    return Fault(table.where, "", "một ô chứa cả các dòng sau", remedy, number)


def _unrecognised(table: Table) -> Iterator[Fault]:
    blank = not any(cell != "" for row in table.rows for cell in row)
    if table.sheet and blank:
        return
    known = "; ".join(f"{kind.sheet} ({', '.join(_required(kind))})" for kind in KINDS)
    yield Fault(
        table.where,
        "",
        "không nhận ra bảng này qua dòng tiêu đề",
        f"dùng tiêu đề của mẫu (`congvan registry template`): {known}",
    )


def _required(kind: Kind) -> list[str]:
    return [column.heading for column in kind.columns if column.required]


def _heading_row(table: Table) -> tuple[int, Kind] | None:
    """The number of the heading row (from 1) and the kind; a sheet's own name decides where it is one."""
    kinds = [kind for kind in KINDS if fold(kind.sheet) == fold(table.sheet)] or list(KINDS)
    most, found = 3, None  # one heading alone, 3 at most, may stand in any table
    for number, cells in enumerate(table.rows[:_TITLE_ROWS], 1):
        texts = [cell if isinstance(cell, str) else "" for cell in cells]
        for kind in kinds:
            known = recognised(texts, kind)
            if known > most:
                most, found = known, (number, kind)
    return found


def _columns(table: Table, number: int, kind: Kind, faults: list[Fault]) -> dict[int, Column]:
    """Column by position; unknown, double and missing headings are faults: no column is lost in silence."""
    columns: dict[int, Column] = {}
    for position, cell in enumerate(table.rows[number - 1]):
        text = " ".join(str(cell).split())
        column = kind.named(text) if text else None
        if column in columns.values():
            faults.append(Fault(table.where, text, "cột này có hai lần", "giữ lại một cột", number))
        elif column:
            columns[position] = column
        elif fold(text) not in IGNORED and _filled(table, number, position):
            faults.append(_unknown_column(table, number, position, text, kind))
    for column in kind.columns:
        if column.required and column not in columns.values():
            fault = Fault(table.where, column.heading, "thiếu cột này", f"thêm cột «{column.heading}»", number)
            faults.append(fault)
    return columns


def _unknown_column(table: Table, number: int, position: int, text: str, kind: Kind) -> Fault:
    near = meant(text, [one.heading for one in kind.columns])
    name = shown(text) or f"cột thứ {position + 1}"
    return Fault(
        table.where,
        name,
        "không biết cột này",
        f"sửa tiêu đề{near}, xóa cột, hoặc đặt tên là «Ghi chú»",
        number,
    )


def _filled(table: Table, number: int, position: int) -> bool:
    return any(position < len(row) and row[position] != "" for row in table.rows[number - 1 :])


def _read_row(row: Row, columns: dict[int, Column], cells: Sequence[Cell], faults: list[Fault]) -> Row:
    for position, column in columns.items():
        try:
            value = value_of(cells[position], column) if position < len(cells) else None
        except BadCell as bad:
            faults.append(row.fault(column.field, bad.message, bad.remedy))
            row.spoiled.add(column.field)
            continue
        if value is not None:
            row.values[column.field] = value
    if EXAMPLES & {row.values.get("code"), row.values.get("organisation")}:
        return Row(row.table, row.kind, row.number)
    for column in columns.values():
        if column.required and column.field not in row.values and column.field not in row.spoiled:
            if row.values:
                faults.append(row.fault(column.field, "chưa điền", "điền giá trị; cột này là bắt buộc"))
            row.spoiled.add(column.field)
    return row if row.values else Row(row.table, row.kind, row.number)
