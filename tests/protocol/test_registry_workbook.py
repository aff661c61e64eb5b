"""Workbooks in and out: what was written reads back equal, and a workbook from a stranger fills no machine."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from congvan.errors import BadInput, Fault
from congvan.registry import read_register, write_register, write_template
from congvan.registry import workbook as workbook_of
from congvan.registry.workbook import MOST_CELLS
from congvan.rules.names import illegible, one_line
from congvan.rules.records import Contact, Organisation, Park, Person, Register, nfc

LEVELS = {"board": "Ban quản lý", "tenant": "Doanh nghiệp"}
HEADINGS = ["Mã tổ chức", "Tên tổ chức", "Cấp", "Mã số thuế", "Hiệu lực từ"]

# ------------------------------------------------------------------- any registry reads back equal

_letters = st.characters(exclude_categories=("Cc", "Cs", "Cn")).filter(lambda letter: not illegible(letter))
_any_text = st.text(_letters, max_size=40)
_dangerous = st.sampled_from(
    [
        "=HYPERLINK(1)",
        "-1+2",
        "@a",
        "'=x",
        "''+x",
        "'tên",
        "1.0",
        "001",
        "TRUE",
        'a;b,c\n"d"',
        "2023-01-02",
        "_x0041_",
    ]
)
#: As a cell is read: on one line.
_texts = st.one_of(_any_text, _dangerous).map(lambda text: one_line(str(nfc(text))))
_lines = _texts.filter(bool)
_codes = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,12}", fullmatch=True).filter(lambda code: code[:4] != "VIDU")
_dates = st.dates(date(1890, 1, 1), date(2100, 12, 31))
_spans = st.tuples(st.none() | _dates, st.none() | _dates).map(
    lambda pair: pair if None in pair else tuple(sorted(pair))  # type: ignore[type-var]
)
_mailboxes = st.builds(
    "{}@{}.example".format, st.from_regex(r"[a-z][a-z0-9]{0,9}", fullmatch=True), st.sampled_from("abc")
)


@st.composite
def _contacts(draw: st.DrawFn) -> tuple[Contact, ...]:
    emails = draw(st.lists(_mailboxes, max_size=3, unique=True))
    spans = [draw(_spans) for _ in emails]
    return tuple(
        Contact(
            email=email,
            name=draw(_texts),
            role=draw(_texts),
            phone=draw(_texts),
            order=draw(st.integers(-5, 10**6)),
            designated_by=draw(_texts),
            valid_from=span[0],
            valid_until=span[1],
        )
        for email, span in zip(emails, spans, strict=True)
    )


@st.composite
def _registers(draw: st.DrawFn) -> Register:
    codes = draw(st.lists(_codes, min_size=1, max_size=4, unique_by=str.casefold))
    park_codes = draw(st.lists(_codes, max_size=3, unique_by=str.casefold))
    organisations = []
    for number, code in enumerate(codes):
        span, signed = draw(_spans), draw(_spans)
        organisations.append(
            Organisation(
                code=code,
                name=draw(_lines),
                level=draw(st.sampled_from(sorted(LEVELS))),
                name_en=draw(_texts),
                abbreviation=draw(_texts),
                parent=draw(st.none() | st.sampled_from(codes[:number])) if number else None,
                parks=tuple(draw(st.lists(st.sampled_from(park_codes), unique=True))) if park_codes else (),
                segments=tuple(draw(st.lists(_codes, max_size=2, unique=True))),
                tax_code=draw(_texts),
                address=draw(_texts),
                place=draw(_texts),
                standing_authority=draw(_texts),
                contacts=draw(_contacts()),
                signers=tuple(
                    Person(
                        name=draw(_lines),
                        position=draw(_lines),
                        authority=draw(_texts),
                        valid_from=signed[0],
                        valid_until=signed[1],
                    )
                    for _ in range(draw(st.integers(0, 2)))
                ),
                valid_from=span[0],
                valid_until=span[1],
                invented=draw(st.booleans()),
            )
        )
    parks = tuple(
        Park(
            code=code,
            name=draw(_lines),
            investor=draw(st.none() | st.sampled_from(codes)),
            zone=draw(_texts),
            invented=draw(st.booleans()),
        )
        for code in park_codes
    )
    return Register(organisations=tuple(organisations), parks=parks)


@pytest.mark.parametrize("name", ["danh-ba.xlsx", "danh-ba"])
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(register=_registers())
def test_an_exported_registry_reads_back_equal(tmp_path: Path, name: str, register: Register) -> None:
    write_register(register, tmp_path / name)
    assert [one.name for one in tmp_path.iterdir()] == [name]
    # Of an empty table nothing is known but that it was empty.
    assert read_register([tmp_path / name], LEVELS).model_copy(update={"untold": {}}) == register


def test_no_cell_of_an_export_is_a_formula(tmp_path: Path) -> None:
    evil = Organisation(
        code="A", name="=cmd|' /C calc'!A0", level="tenant", address="@SUM(1)", tax_code="-1", place="+1"
    )
    write_register(Register(organisations=(evil,)), tmp_path / "ra.xlsx")
    write_register(Register(organisations=(evil,)), tmp_path / "ra")
    with zipfile.ZipFile(tmp_path / "ra.xlsx") as book:
        sheets = b"".join(book.read(name) for name in book.namelist() if "worksheets/sheet" in name)
        texts = book.read("xl/sharedStrings.xml").decode()
    assert b"<f>" not in sheets
    table = (tmp_path / "ra" / "organisations.csv").read_text("utf-8-sig")
    for text in (evil.name, evil.address, evil.tax_code, evil.place):
        assert f">'{text.replace(chr(39), '&#39;')}<" in texts or f">'{text}<" in texts
        assert f",'{text}," in table


def test_an_export_that_fails_leaves_no_half_file(tmp_path: Path) -> None:
    long = Organisation(code="A", name="A", level="tenant", address="x" * 40_000)
    (tmp_path / "ra.xlsx").write_bytes(b"before")
    with pytest.raises(ValueError, match="cell"):
        write_register(Register(organisations=(long,)), tmp_path / "ra.xlsx")
    assert (tmp_path / "ra.xlsx").read_bytes() == b"before"
    assert len(list(tmp_path.iterdir())) == 1


# ------------------------------------------------------------------- workbooks as clerks make them


def workbook(path: Path, fill: Callable[[Any, Any], None]) -> Path:
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet("TO CHUC")
        sheet.write_row(0, 0, HEADINGS)
        sheet.write_row(1, 0, ["DN-1", "Công ty Mẫu", "tenant"])
        fill(book, sheet)
    return path


def faults_of(path: Path) -> tuple[Fault, ...]:
    with pytest.raises(BadInput) as refused:
        read_register([path], LEVELS)
    return refused.value.faults


def test_numbers_and_dates_of_a_spreadsheet_are_what_the_clerk_typed(tmp_path: Path) -> None:
    def fill(book: Any, sheet: Any) -> None:
        sheet.write_number(1, 3, 123456789)  # a tax code that lost its first 0
        sheet.write_datetime(1, 4, datetime(2023, 11, 29), book.add_format({"num_format": "dd/mm/yyyy"}))  # noqa: DTZ001
        sheet.write_row(2, 0, [7, "Công ty Bảy", "tenant", 1234567890, "29/11/2023"])

    first, second = read_register([workbook(tmp_path / "a.xlsx", fill)], LEVELS).organisations
    assert (first.tax_code, first.valid_from) == ("0123456789", date(2023, 11, 29))
    assert (second.code, second.tax_code, second.valid_from) == ("7", "1234567890", date(2023, 11, 29))


@pytest.mark.parametrize(
    ("number", "phone"),
    [
        (912345678, "0912345678"), (2253123456, "02253123456"), (84912345678, "+84912345678"),
        (842253123456, "+842253123456"), (19001234, "19001234"), (1900545413, "1900545413"), (3823456, "3823456"),
        (815551234567, "815551234567"),
    ],
)  # fmt: skip
def test_a_telephone_that_the_spreadsheet_made_a_number_is_dialled_as_it_was_typed(
    tmp_path: Path, number: int, phone: str
) -> None:
    def fill(book: Any, _: Any) -> None:
        boxes = book.add_worksheet("Đầu mối")
        boxes.write_row(0, 0, ["Mã tổ chức", "Thư điện tử", "Điện thoại"])
        boxes.write_row(1, 0, ["DN-1", "a@b.example", number])

    (one,) = read_register([workbook(tmp_path / "a.xlsx", fill)], LEVELS).organisations
    assert one.contacts[0].phone == phone


def test_a_name_that_the_spreadsheet_made_a_date_of_is_refused(tmp_path: Path) -> None:
    def fill(book: Any, sheet: Any) -> None:
        sheet.write_datetime(1, 1, datetime(2023, 3, 12), book.add_format({"num_format": "d-mmm"}))  # noqa: DTZ001

    (fault,) = faults_of(workbook(tmp_path / "a.xlsx", fill))
    assert (fault.row, fault.field) == (2, "Tên tổ chức")
    assert "ngày 12/03/2023" in fault.message


@pytest.mark.parametrize("formula", ['=HYPERLINK("http://x.example")', "=A2", "=1+1"])
def test_a_formula_is_refused_whatever_it_shows(tmp_path: Path, formula: str) -> None:
    path = workbook(tmp_path / "a.xlsx", lambda _, sheet: sheet.write_formula(1, 1, formula, None, "Công ty Mẫu"))
    (fault,) = faults_of(path)
    assert (fault.row, fault.field, fault.message) == (2, "Tên tổ chức", "ô chứa công thức")
    assert "TO CHUC" in fault.file


@pytest.mark.parametrize("error", ["#N/A", "#REF!", "#NAME?", "#DIV/0!"])
@pytest.mark.parametrize("cell", ['<c r="D2" t="e"><v>{}</v></c>', "<c t='e' s='1' r='D2'><v>{}</v></c>"])
def test_a_cell_in_which_the_spreadsheet_shows_an_error_is_not_taken_for_an_empty_one(
    tmp_path: Path, cell: str, error: str
) -> None:
    """A VLOOKUP that found nothing, pasted as a value."""
    path = workbook(tmp_path / "a.xlsx", lambda _, sheet: sheet.write_number(1, 3, 1))
    number, shown = b'<c r="D2"><v>1</v></c>', cell.format(error).encode()
    with zipfile.ZipFile(path) as book:
        assert number in book.read("xl/worksheets/sheet1.xml")
    (fault,) = faults_of(repacked(path, tmp_path / "b.xlsx", lambda _, part: part.replace(number, shown)))
    assert (fault.row, fault.field) == (2, "Mã số thuế")
    assert "báo lỗi" in fault.message


def test_a_tax_code_that_is_no_whole_number_is_refused(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", lambda _, sheet: sheet.write_number(1, 3, 101234567.5))
    (fault,) = faults_of(path)
    assert (fault.row, fault.field) == (2, "Mã số thuế")


def test_a_workbook_of_the_strict_kind_is_named_as_one(tmp_path: Path, honest: Path) -> None:
    usual, strict = b"http://schemas.openxmlformats.org/spreadsheetml/2006/", b"http://purl.oclc.org/ooxml/spreadsheetml/"
    (fault,) = faults_of(repacked(honest, tmp_path / "b.xlsx", lambda _, part: part.replace(usual, strict)))
    assert "Strict Open XML" in fault.message
    assert ".xlsx" in fault.remedy


def test_a_sheet_that_nobody_knows_is_refused_and_an_empty_one_passed_over(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", lambda book, _: book.add_worksheet("Sheet2"))
    assert len(read_register([path], LEVELS).organisations) == 1
    path = workbook(tmp_path / "b.xlsx", lambda book, _: book.add_worksheet("Nháp").write(0, 0, "ghi nhớ"))
    (fault,) = faults_of(path)
    assert "Nháp" in fault.file


def test_the_untouched_template_holds_no_organisation(tmp_path: Path) -> None:
    write_template(tmp_path / "mau.xlsx", LEVELS)
    (fault,) = faults_of(tmp_path / "mau.xlsx")
    assert fault.message == "không có tổ chức nào"


def test_the_template_offers_lists_and_a_guide(tmp_path: Path) -> None:
    write_template(tmp_path / "mau.xlsx", LEVELS)
    with zipfile.ZipFile(tmp_path / "mau.xlsx") as book:
        xml = {name: book.read(name).decode() for name in book.namelist()}
    for sheet in ("Tổ chức", "Khu công nghiệp", "Đầu mối", "Người ký", "Hướng dẫn"):
        assert f'name="{sheet}"' in xml["xl/workbook.xml"]
    assert "'Danh mục'!$A$1:$A$2" in xml["xl/worksheets/sheet1.xml"]
    assert 'type="date"' in xml["xl/worksheets/sheet3.xml"]
    assert "Ban quản lý" in xml["xl/sharedStrings.xml"]


def test_the_examples_of_the_template_are_a_registry_once_their_codes_are_real(tmp_path: Path) -> None:
    write_template(tmp_path / "mau.xlsx", LEVELS)
    filled = repacked(tmp_path / "mau.xlsx", tmp_path / "xong.xlsx", lambda _, part: part.replace(b"VIDU-", b"THAT-"))
    (one,) = read_register([filled], LEVELS).organisations
    assert (one.code, one.level, one.parks, one.contacts[0].order) == ("THAT-01", "board", ("THAT-KCN",), 1)
    assert (one.contacts[0].email, one.signers[0].position) == ("vanthu@vidu.example", "GIÁM ĐỐC")


# ------------------------------------------------------------------- workbooks from strangers


def repacked(source: Path, target: Path, change: Callable[[str, bytes], bytes]) -> Path:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return target


@pytest.fixture
def honest(tmp_path: Path) -> Path:
    return workbook(tmp_path / "honest.xlsx", lambda _, sheet: None)


def test_a_workbook_that_inflates_beyond_measure_is_refused(tmp_path: Path, honest: Path) -> None:
    flood = b" " * (150 * 1024 * 1024)
    bomb = repacked(honest, tmp_path / "bomb.xlsx", lambda name, data: data + flood if "sheet1" in name else data)
    assert bomb.stat().st_size < 1024 * 1024
    (fault,) = faults_of(bomb)
    assert "bung ra quá 128 MB" in fault.message


def test_a_workbook_that_lies_about_its_size_is_refused(tmp_path: Path, honest: Path) -> None:
    flood = b" " * (150 * 1024 * 1024)
    bomb = repacked(honest, tmp_path / "bomb.xlsx", lambda name, data: data + flood if "sheet1" in name else data)
    data = bytearray(bomb.read_bytes())
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        size = struct.pack("<L", book.getinfo("xl/worksheets/sheet1.xml").file_size)
    bomb.write_bytes(bytes(data).replace(size, struct.pack("<L", 1000)))
    (fault,) = faults_of(bomb)
    assert "bị hỏng" in fault.message


def test_one_cell_in_the_last_corner_is_refused_before_it_is_laid_out(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", lambda _, sheet: sheet.write(1_048_575, 16_383, "x"))
    (fault,) = faults_of(path)
    assert "1048576 hàng × 16384 cột" in fault.message
    assert MOST_CELLS < 2**24


@pytest.mark.parametrize(
    "sheet",
    [
        b"<row r='1'>" + b"<c><v>1</v></c>" * 10 + b"</row><row r='1048576'><c r='A1048576'><v>1</v></c></row>",
        b"<row><c r='A1'><v>1</v></c></row>",
        b"<row r='1'><c/></row>",
    ],
)
def test_cells_that_do_not_say_where_they_stand_are_refused(sheet: bytes) -> None:
    """The reader lays them out behind one another, and what was measured is another table."""
    with pytest.raises(workbook_of.Unusable, match="vị trí"):
        workbook_of._measure(sheet)


def test_a_formula_is_found_behind_its_value_too() -> None:
    sheet = b"<row r='2'><c r='B2'><v>1</v><f>A1</f></c><c r='C2' t='n'><f>A1</f></c></row>"
    assert set(workbook_of._measure(sheet)) == {(1, 1), (1, 2)}


def test_a_sheet_of_open_tags_is_measured_in_one_pass() -> None:
    """Where each had to be looked for to the end of the sheet, this took hours."""
    with pytest.raises(workbook_of.Unusable):
        workbook_of._measure(b"<c " * 300_000)


def test_many_cells_that_share_one_huge_text_are_refused(tmp_path: Path) -> None:
    def fill(_: Any, sheet: Any) -> None:
        for row in range(1, 70_001):
            sheet.write_string(row, 1, "x" * 32_000)

    (fault,) = faults_of(workbook(tmp_path / "a.xlsx", fill))
    assert "ký tự" in fault.message


def test_a_workbook_that_declares_entities_is_refused(tmp_path: Path, honest: Path) -> None:
    def change(name: str, data: bytes) -> bytes:
        return (
            data.replace(b"<workbook", b'<!DOCTYPE x [<!ENTITY a "b">]><workbook', 1)
            if name == "xl/workbook.xml"
            else data
        )

    (fault,) = faults_of(repacked(honest, tmp_path / "x.xlsx", change))
    assert "không được phép" in fault.message


@pytest.mark.parametrize(
    "data",
    [b"PK\x03\x04" + b"x" * 100, b"\xd0\xcf\x11\xe0" + b"x" * 600, b"Ma,Ten\n"],
    ids=["no archive", "old xls or password", "CSV under a wrong name"],
)
def test_what_is_no_workbook_is_refused_with_a_remedy(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.xlsx").write_bytes(data)
    (fault,) = faults_of(tmp_path / "a.xlsx")
    assert ".xlsx" in fault.remedy


def test_an_archive_that_is_no_workbook_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w") as archive:
        archive.writestr("thư.txt", "xin chào")
    (fault,) = faults_of(tmp_path / "a.xlsx")
    assert fault.message == "không phải bảng tính .xlsx"


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_damaged_workbook_ends_in_faults_and_never_in_a_traceback(honest: Path, data: st.DataObject) -> None:
    content = honest.read_bytes()
    if data.draw(st.booleans()):  # damage inside a part, under a valid archive
        with zipfile.ZipFile(honest) as book:
            victim = data.draw(st.sampled_from(sorted(book.namelist())))
        spot = data.draw(st.integers(0, 4_000))
        junk = data.draw(st.binary(max_size=40))
        path = repacked(
            honest,
            honest.with_name("damaged.xlsx"),
            lambda name, part: part[:spot] + junk + part[spot + len(junk) :] if name == victim else part,
        )
    else:
        spot = data.draw(st.integers(0, len(content)))
        path = honest.with_name("damaged.xlsx")
        path.write_bytes(content[:spot] + data.draw(st.binary(max_size=40)) + content[spot + 1 :])
    with suppress(BadInput):  # any other error fails the test
        read_register([path], LEVELS)
