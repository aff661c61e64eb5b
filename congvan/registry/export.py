"""A registry as files that offices open: workbook or folder of CSV; and the template to fill in."""

from __future__ import annotations

import csv
import os
from collections.abc import Collection, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from congvan.registry.cells import guard
from congvan.registry.columns import CONTACTS, KINDS, ORGANISATIONS, PARKS, SIGNERS, Column, Holds, Kind
from congvan.rules.records import Record, Register

#: What one cell of a workbook holds at most.
_LONGEST_CELL = 32_767
#: Before this day the day numbers of spreadsheets are wrong (they count a 29/02/1900).
_FIRST_SAFE_DAY = date(1900, 3, 1)
#: Rows for which the template offers lists.
_TEMPLATE_ROWS = 5_000
_LISTS = "Danh mục"
_DATES = {"default_date_format": "dd/mm/yyyy"}

_Line = dict[str, object]


def write_register(register: Register, path: Path) -> None:
    """Write a registry that `read_register` gives back equal (text on one line): a workbook, or a folder of CSV files.

    A path that ends in .xlsx becomes a workbook, any other a folder with one file for each table (UTF-8
    with BOM, so that a spreadsheet opened by double click shows the diacritics). Text that a spreadsheet
    would run as a formula is written with an apostrophe before it. Raise ValueError for a text that no
    cell can hold.
    """
    tables = {kind: list(lines) for kind, lines in _tables(register).items()}
    if path.suffix.lower() == ".xlsx":
        partial = path.with_name(f".{path.name}.part")
        try:
            _write_workbook(tables, partial)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
        return
    path.mkdir(parents=True, exist_ok=True)
    for kind, lines in tables.items():
        _write_csv(kind, lines, path / kind.file)


def _tables(register: Register) -> dict[Kind, Iterator[_Line]]:
    return {
        ORGANISATIONS: (_line(one) for one in register.organisations),
        PARKS: (_line(one) for one in register.parks),
        CONTACTS: (_owned(one.code, two) for one in register.organisations for two in one.contacts),
        SIGNERS: (_owned(one.code, two) for one in register.organisations for two in one.signers),
    }


def _line(record: Record) -> _Line:
    return {name: getattr(record, name) for name in type(record).model_fields}


def _owned(code: str, record: Record) -> _Line:
    return {"organisation": code, **_line(record)}


def _written(value: object) -> str | date | int:
    """A value as it stands in a cell."""
    if value is None or value is False:
        return ""
    if value is True:
        return "có"
    if isinstance(value, date | int):
        return value
    text = guard("; ".join(value) if isinstance(value, tuple) else str(value))
    if len(text) > _LONGEST_CELL:
        raise ValueError(f"a text of {len(text)} characters does not fit into a cell ({text[:40]}…)")
    return text


def _day(day: date) -> str:
    return f"{day.day:02}/{day.month:02}/{day.year:04}"


def _write_csv(kind: Kind, lines: list[_Line], path: Path) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([column.heading for column in kind.columns])
        for line in lines:
            values = [_written(line[column.field]) for column in kind.columns]
            writer.writerow([_day(value) if isinstance(value, date) else value for value in values])


def _write_workbook(tables: Mapping[Kind, list[_Line]], path: Path) -> None:
    # Loaded where it is used: every process reads registries, few write one.
    import xlsxwriter

    with xlsxwriter.Workbook(str(path), _DATES) as book:
        for kind, lines in tables.items():
            sheet = _sheet(book, kind)
            for number, line in enumerate(lines, 1):
                for position, column in enumerate(kind.columns):
                    _write_cell(sheet, number, position, _written(line[column.field]))


def _write_cell(sheet: Any, row: int, column: int, value: str | date | int) -> None:
    if isinstance(value, date) and value >= _FIRST_SAFE_DAY:
        sheet.write_datetime(row, column, value)
    elif isinstance(value, int):
        sheet.write_number(row, column, value)
    elif value:
        sheet.write_string(row, column, _day(value) if isinstance(value, date) else value)


def _sheet(book: Any, kind: Kind) -> Any:
    """A sheet with its headings; cells of codes and numbers are text, so that no 0 is lost in front."""
    sheet = book.add_worksheet(kind.sheet)
    plain = {"font_name": "Times New Roman", "font_size": 12}
    text, day = (
        book.add_format({**plain, "num_format": "@"}),
        book.add_format({**plain, "num_format": "dd/mm/yyyy"}),
    )
    needed = book.add_format({**plain, "bold": True, "bg_color": "#DDEBF7", "bottom": 1, "text_wrap": True})
    other = book.add_format({**plain, "bold": True, "bg_color": "#F2F2F2", "bottom": 1, "text_wrap": True})
    for position, column in enumerate(kind.columns):
        sheet.set_column(position, position, column.width, day if column.holds is Holds.DATE else text)
        sheet.write_string(0, position, column.heading, needed if column.required else other)
    sheet.freeze_panes(1, 2)
    sheet.autofilter(0, 0, 0, len(kind.columns) - 1)
    return sheet


def write_template(path: Path, levels: Collection[str]) -> None:
    """Write the workbook that clerks fill in: headings, an example row, lists to choose from, a guide.

    levels: the levels of the cascade, or a mapping from level to its name, which the guide then shows.
    The example rows bear codes that `read_register` passes over.
    """
    import xlsxwriter

    names = dict(levels) if isinstance(levels, Mapping) else {level: level for level in levels}
    with xlsxwriter.Workbook(str(path), _DATES) as book:
        example = book.add_format({"italic": True, "font_color": "#808080", "num_format": "@"})
        for kind in KINDS:
            sheet = _sheet(book, kind)
            for position, column in enumerate(kind.columns):
                shown = next(iter(names), "") if column.field == "level" else column.example
                if shown:
                    sheet.write_string(1, position, shown, example)
                _offer(sheet, kind, position, column, len(names))
        _write_guide(book, names)
        lists = book.add_worksheet(_LISTS)
        for number, level in enumerate(names):
            lists.write_string(number, 0, level)
        lists.hide()


def _offer(sheet: Any, kind: Kind, position: int, column: Column, levels: int) -> None:
    """The list, or the kind of value, that the spreadsheet offers in this column."""
    source = {
        "level": f"='{_LISTS}'!$A$1:$A${max(levels, 1)}",
        "organisation": f"='{ORGANISATIONS.sheet}'!$A$2:$A${_TEMPLATE_ROWS}",
        "parent": f"='{ORGANISATIONS.sheet}'!$A$2:$A${_TEMPLATE_ROWS}",
        "investor": f"='{ORGANISATIONS.sheet}'!$A$2:$A${_TEMPLATE_ROWS}",
    }.get(column.field)
    rule: dict[str, object] | None = None
    if source:
        rule = {"validate": "list", "source": source, "error_message": "Chọn một mã trong danh sách."}
    elif column.holds is Holds.FLAG:
        rule = {"validate": "list", "source": ["có"], "error_message": "Ghi «có» hoặc để trống."}
    elif column.holds is Holds.DATE:
        rule = {
            "validate": "date",
            "criteria": ">=",
            "value": _FIRST_SAFE_DAY,
            "error_message": "Ghi dd/mm/yyyy.",
        }
    elif column.holds is Holds.NUMBER:
        rule = {
            "validate": "integer",
            "criteria": ">=",
            "value": 1,
            "error_message": "Ghi một số nguyên từ 1.",
        }
    if rule:
        sheet.data_validation(1, position, _TEMPLATE_ROWS, position, {"error_title": kind.sheet, **rule})


_GUIDE = (
    "Mỗi trang là một bảng; mỗi dòng là một bản ghi. Cột có nền xanh là bắt buộc.",
    "Dòng ví dụ (mã bắt đầu bằng VIDU-) không được nhập; có thể xóa hoặc để nguyên.",
    "Tiêu đề cột có thể viết không dấu. Muốn ghi chú riêng, thêm cột «Ghi chú»; cột này không được nhập.",
    "Ngày ghi theo dạng dd/mm/yyyy. Nhiều mã trong một ô cách nhau bằng dấu chấm phẩy (;).",
    "Không dùng công thức; ô không bắt đầu bằng = + - @.",
    "Ưu tiên hộp thư chung của đơn vị (văn thư, hành chính); chỉ ghi tên cá nhân khi thật cần.",
    "Tổ chức không có dòng nào ở trang «Đầu mối» hoặc «Người ký»: đầu mối, người ký đã có được giữ nguyên; có dòng: "
    "các dòng ấy thay toàn bộ đầu mối, người ký đã có của tổ chức đó. Hộp thư thôi dùng thì ghi «Hiệu lực đến».",
    "Cột không có trong tệp: điều đã ghi được giữ nguyên; ô để trống dưới một tiêu đề: xóa điều đã ghi.",
    "Nếu một ô sai, không dòng nào được nhập; thông báo nêu rõ trang, dòng, cột và cách sửa.",
)


def _write_guide(book: Any, levels: Mapping[str, str]) -> None:
    sheet = book.add_worksheet("Hướng dẫn")
    bold, wrapped = book.add_format({"bold": True}), book.add_format({"text_wrap": True, "valign": "top"})
    sheet.set_column(0, 1, 26, wrapped)
    sheet.set_column(2, 2, 80, wrapped)
    lines: list[tuple[str, ...]] = [("HƯỚNG DẪN ĐIỀN DANH BẠ",), *((text,) for text in _GUIDE), ("",)]
    lines += [("Cấp", "", "Tên"), *((level, "", name) for level, name in levels.items()), ("",)]
    lines += [("Trang", "Cột", "Cách điền")]
    lines += [
        (kind.sheet, column.heading, f"{'Bắt buộc. ' if column.required else ''}{column.note}")
        for kind in KINDS
        for column in kind.columns
    ]
    for number, line in enumerate(lines):
        title = line[0].isupper() or line[-1] in ("Tên", "Cách điền")
        for position, text in enumerate(line):
            # The long sentences run over into the empty cells beside them.
            chosen = bold if title else (wrapped if len(line) > 1 else None)
            sheet.write_string(number, position, text, chosen)
