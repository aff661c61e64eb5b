"""Files as plain tables: CSV in the encodings that offices use, and the folder that holds several."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from congvan.errors import BadInput, Fault
from congvan.registry.columns import KINDS, recognised
from congvan.registry.workbook import Cell, Sheet, Unusable, read_workbook

#: 25,000 organisations with two mailboxes each make about 6 MB of CSV and 4 MB of XLSX.
LARGEST_FILE_BYTES = 32 * 1024 * 1024
#: Rows below which a heading is no longer looked for.
_TITLE_ROWS = 20
_UTF8_REMEDY = "mở tệp bằng Excel và lưu lại theo kiểu «CSV UTF-8», hoặc lưu thành .xlsx"
_DELIMITERS = ",;\t"
#: Byte order marks; a spreadsheet's "Unicode text" is UTF-16.
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


@dataclass(frozen=True, slots=True)
class Table:
    """A sheet or a CSV file. rows[0] is spreadsheet row 1; `sheet` is empty for CSV, `delimiter` for a workbook."""

    file: str
    sheet: str
    rows: Sequence[Sequence[Cell]]
    delimiter: str = ""

    @property
    def where(self) -> str:
        """The file, and the sheet where there is one, as a fault names it."""
        return f"{self.file}, trang «{self.sheet}»" if self.sheet else self.file


def read_tables(paths: Sequence[Path]) -> list[Table]:
    """Every table of these files and folders; raise BadInput with the faults of all unreadable ones."""
    tables: list[Table] = []
    faults: list[Fault] = []
    for path in paths:
        try:
            for file in _files(path):
                tables.extend(_read(file))
        except BadInput as refused:
            faults.extend(refused.faults)
    if faults:
        raise BadInput(faults)
    return tables


def _files(path: Path) -> Iterable[Path]:
    if not path.is_dir():
        return (path,)
    found = sorted(one for one in path.iterdir() if one.suffix.lower() == ".csv" and not one.name.startswith("."))
    if not found:
        raise refusal(path, "thư mục không có tệp .csv nào", "chỉ đến thư mục chứa danh bạ, hoặc đến một tệp .xlsx")
    return found


def _read(path: Path) -> Iterator[Table]:
    data = _bytes(path)
    if path.suffix.lower() in (".xlsx", ".xlsm") or data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        yield from (Table(str(path), sheet.name, sheet.rows) for sheet in _workbook(path, data))
    elif path.suffix.lower() in (".csv", ".txt", ".tsv"):
        text, delimiter = _delimiter(decode(path, data))
        yield Table(str(path), "", _rows(path, text, delimiter), delimiter)
    else:
        raise refusal(path, "không phải tệp .xlsx hay .csv", "lưu lại danh bạ thành .xlsx hoặc .csv")


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            limit = LARGEST_FILE_BYTES // (1024 * 1024)
            raise refusal(path, f"tệp lớn hơn {limit} MB", "chia thành nhiều tệp, bỏ ảnh và định dạng thừa")
        data = path.read_bytes()
    except OSError as error:
        raise refusal(path, f"không đọc được tệp ({error.strerror})", "kiểm tra đường dẫn và quyền đọc") from error
    if not data.strip():
        raise refusal(path, "tệp rỗng", "chọn đúng tệp; xem mẫu bằng `congvan registry template`")
    return data


def _workbook(path: Path, data: bytes) -> list[Sheet]:
    try:
        return read_workbook(data)
    except Unusable as error:
        raise refusal(path, error.message, error.remedy) from error


def decode(path: Path, data: bytes) -> str:
    """The text of a CSV file; raise BadInput where the letters cannot be trusted."""
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return _windows_1258(path, data)


def _windows_1258(path: Path, data: bytes) -> str:
    """Windows-1258 where every letter is a Vietnamese one; else it is some other old code: refuse.

    TCVN3 (ABC) and VNI decode as Windows-1258 without an error, into letters that no Vietnamese has.
    """
    try:
        text = unicodedata.normalize("NFC", data.decode("cp1258"))
    except UnicodeDecodeError:
        text = "\ufffd"
    strange = sorted({letter for letter in text if not _vietnamese(letter)})
    if strange:
        raise refusal(path, f"bảng mã lạ (gặp các ký tự {' '.join(strange[:5])!r})", _UTF8_REMEDY)
    return text


def _vietnamese(letter: str) -> bool:
    if letter in "\t\r\n" or " " <= letter <= "~" or letter in "“”‘’–—…°\u00a0đĐ":
        return True
    parts = unicodedata.normalize("NFD", letter)
    marks = set(parts[1:])
    return (
        parts[0] in "aeiouyAEIOUY" and bool(marks) and marks <= set("\u0300\u0301\u0303\u0309\u0323\u0302\u0306\u031b")
    )


def _rows(path: Path, text: str, delimiter: str) -> list[list[Cell]]:
    rows: list[list[Cell]] = []
    try:
        # Without `strict` a quote that nobody closes takes in every row behind it, without a word.
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True):
            rows.append(list(row))
    except csv.Error as error:
        remedy = "kiểm tra dấu nháy kép ở dòng này, hoặc lưu thành .xlsx"
        raise BadInput([Fault(str(path), "", f"tệp CSV bị hỏng ({error})", remedy, len(rows) + 1)]) from error
    return rows


def _delimiter(text: str) -> tuple[str, str]:
    """The text without Excel's "sep=" line, and the delimiter under which its headings are best known."""
    first, _, rest = text.partition("\n")
    if first.lower().startswith("sep=") and len(first.strip()) == len("sep=;"):
        return rest, first.strip()[-1]
    head = text.splitlines()[:_TITLE_ROWS]

    def known(delimiter: str) -> int:
        rows = csv.reader(head, delimiter=delimiter)
        return max((recognised(row, kind) for row in rows for kind in KINDS), default=0)

    try:
        return text, max(_DELIMITERS, key=known)
    except csv.Error:
        return text, ","


def refusal(path: Path, message: str, remedy: str) -> BadInput:
    """A file that cannot be used as a whole."""
    return BadInput([Fault(str(path), "", message, remedy)])
