"""Workbooks from strangers: measured before they are parsed, formulas found and not believed.

The parser unpacks a workbook into dense tables of memory, so three kinds of small files could fill a
machine: one that inflates a thousandfold, one with a single cell in the last corner of the sheet, and
one whose cells all point at one huge text. Each is measured here first, on a copy that holds only what
was measured: the sizes that an archive declares about itself are not believed either.
"""

from __future__ import annotations

import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import Enum
from xml.etree import ElementTree

from python_calamine import CalamineError, CalamineWorkbook

LARGEST_UNPACKED_BYTES = 128 * 1024 * 1024
#: Rows × columns of one sheet; 25,000 organisations × 15 columns are 375,000.
MOST_CELLS = 4_000_000
_MOST_MEMBERS = 2_000
_NEEDED = re.compile(r"(\[Content_Types\]\.xml|_rels/.+|xl/[^/]+\.xml|xl/_rels/.+|xl/worksheets/[^/]+\.xml)")
_REFERENCE = re.compile(rb"\br\s*=\s*[\"']([A-Za-z]{0,4})(\d{1,9})[\"']")
_CELL = re.compile(rb"<(?:\w+:)?c[\s/>]")
_ROW = re.compile(rb"<(?:\w+:)?row[\s/>]")
#: Cells and rows that say where they stand. No tag spans another: else a file of `<c ` alone takes hours.
_PLACED = re.compile(rb"<(?:\w+:)?(?:c|row)\s[^<>]*?\br\s*=")
_FORMULA = re.compile(
    rb"<(?:\w+:)?c\s[^<>]*?\br\s*=\s*[\"']([A-Za-z]{1,3})(\d{1,7})[\"'][^<>]*>\s*"
    rb"(?:<(?:\w+:)?v[^<>]*>[^<>]*</(?:\w+:)?v>\s*)?<(?:\w+:)?f[\s/>]"
)
#: #N/A, #REF!, #NAME?: also where the formula that failed was pasted as a value. The parser gives it as an empty cell.
_ERROR = re.compile(
    rb"<(?:\w+:)?c\s(?=[^<>]*?\bt\s*=\s*[\"']e[\"'])[^<>]*?\br\s*=\s*[\"']([A-Za-z]{1,3})(\d{1,7})[\"']"
)
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
#: ISO/IEC 29500-4 has other names for everything than what spreadsheets save otherwise.
_STRICT = b"http://purl.oclc.org/ooxml/"
_RESAVE = "mở tệp bằng Excel, xóa các hàng, cột và trang thừa, rồi lưu lại thành .xlsx"


class Unread(Enum):
    """The value of a cell that is not believed: what a formula has computed, or that it could not compute anything."""

    FORMULA = "formula"
    ERROR = "error"


Cell = str | float | int | bool | date | datetime | time | timedelta | Unread


class Unusable(ValueError):
    """This file is no workbook that can be read; message and remedy say why."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet; rows[0] is row 1 of the spreadsheet."""

    name: str
    rows: Sequence[Sequence[Cell]]


def read_workbook(data: bytes) -> list[Sheet]:
    """Every sheet of an XLSX workbook; raise Unusable(message, remedy) where it is none or too big."""
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise Unusable("tệp .xls kiểu cũ hoặc có mật khẩu", "bỏ mật khẩu và lưu lại thành .xlsx")
    members = _unpack(data)
    unread = {name: _measure(members[file]) for name, file in _sheet_files(members).items()}
    _measure_texts(members)
    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(_repack(members)))
        return [
            Sheet(name, _mark(workbook.get_sheet_by_name(name).to_python(skip_empty_area=False), cells))
            for name, cells in unread.items()
        ]
    except (CalamineError, OSError, KeyError) as error:
        raise Unusable(f"không đọc được bảng tính ({error})", _RESAVE) from error
    except BaseException as error:  # a panic of the parser does not derive from Exception
        if type(error).__name__ != "PanicException":
            raise
        raise Unusable("bảng tính bị hỏng", _RESAVE) from error


def _unpack(data: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = {one.filename: one for one in archive.infolist() if _NEEDED.fullmatch(one.filename)}
            if len(infos) > _MOST_MEMBERS or sum(one.file_size for one in infos.values()) > LARGEST_UNPACKED_BYTES:
                limit = LARGEST_UNPACKED_BYTES // (1024 * 1024)
                raise Unusable(f"bảng tính bung ra quá {limit} MB", _RESAVE)
            members = {name: archive.read(one) for name, one in infos.items()}
    except Unusable:
        raise
    # What a damaged archive makes the reader raise: found by feeding it damaged archives.
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError, ValueError, EOFError, OSError) as error:
        raise Unusable("tệp .xlsx bị hỏng hoặc có mật khẩu", "bỏ mật khẩu, lưu lại thành .xlsx") from error
    if any(b"<!DOCTYPE" in one or b"<!ENTITY" in one for one in members.values()):
        raise Unusable("bảng tính chứa khai báo không được phép", _RESAVE)
    return members


def _repack(members: Mapping[str, bytes]) -> bytes:
    copy = io.BytesIO()
    with zipfile.ZipFile(copy, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return copy.getvalue()


def _sheet_files(members: Mapping[str, bytes]) -> dict[str, str]:
    """Sheet name → member; Unusable where the workbook does not say."""
    if _STRICT in members.get("xl/workbook.xml", b""):
        raise Unusable("tệp theo kiểu «Strict Open XML»", "lưu lại theo kiểu «Excel Workbook (*.xlsx)»")
    try:
        relations = {
            one.get("Id"): str(one.get("Target", ""))
            for one in ElementTree.fromstring(members["xl/_rels/workbook.xml.rels"])
        }
        sheets = [
            (str(one.get("name")), relations.get(one.get(_RELATION), ""))
            for one in ElementTree.fromstring(members["xl/workbook.xml"]).iter()
            if one.tag.endswith("}sheet")
        ]
    except (KeyError, ElementTree.ParseError) as error:
        raise Unusable("không phải bảng tính .xlsx", "lưu lại danh bạ thành .xlsx hoặc .csv") from error
    paths = {name: target[1:] if target.startswith("/") else f"xl/{target}" for name, target in sheets}
    return {name: path for name, path in paths.items() if path in members}


def _measure(sheet: bytes) -> dict[tuple[int, int], Unread]:
    """Row and column (from 0) of every formula and error; Unusable where the sheet is too wide or too long."""
    rows, columns = 1, 1
    for letters, number in _REFERENCE.findall(sheet):
        rows = max(rows, int(number))
        if letters:
            columns = max(columns, _column(letters))
    if len(_CELL.findall(sheet)) + len(_ROW.findall(sheet)) != len(_PLACED.findall(sheet)):
        # The reader would put it after the one before, and what was measured is not what it lays out.
        raise Unusable("trang tính có ô không ghi vị trí", _RESAVE)
    if rows * columns > MOST_CELLS:
        raise Unusable(f"trang tính có đến {rows} hàng × {columns} cột", _RESAVE)
    found = [(one, Unread.ERROR) for one in _ERROR.findall(sheet)]
    found += [(one, Unread.FORMULA) for one in _FORMULA.findall(sheet)]
    return {(int(row) - 1, _column(letters) - 1): what for (letters, row), what in found}


def _measure_texts(members: Mapping[str, bytes]) -> None:
    shared = members.get("xl/sharedStrings.xml", b"")
    longest = max(map(len, shared.split(b"<si")), default=0)
    cells = sum(len(_CELL.findall(one)) for name, one in members.items() if name.startswith("xl/worksheets/"))
    if longest * cells > 16 * LARGEST_UNPACKED_BYTES:
        raise Unusable(f"bảng tính có ô dài {longest} ký tự", "rút ngắn nội dung các ô; mỗi ô không quá 500 ký tự")


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - ord("A") + 1
    return number


def _mark(read: Sequence[Sequence[Cell]], unread: Mapping[tuple[int, int], Unread]) -> Sequence[Sequence[Cell]]:
    rows = [list(row) for row in read]
    for (row, column), what in unread.items():
        if row < len(rows) and column < len(rows[row]):
            rows[row][column] = what
    return rows
