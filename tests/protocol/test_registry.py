"""A registry that is handed in is taken as a whole, or every fault in it is named with its remedy."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from congvan.errors import BadInput, Fault
from congvan.registry import needs_smtputf8, read_register, without_mailbox
from congvan.rules.records import Organisation, Register

LEVELS = {"board": "Ban quản lý", "investor": "Chủ đầu tư", "tenant": "Doanh nghiệp"}
ORGANISATIONS = """Mã tổ chức,Tên tổ chức,Cấp,Cấp trên trực tiếp,Khu công nghiệp,Nhóm ngành
BAN,Ban Quản lý Mẫu,board,,,
CDT-A,Công ty Hạ tầng Mẫu A,investor,BAN,,
DN-1,Công ty TNHH Đường Ống,tenant,,KHU-A;KHU-B,chemical; chemical.use
DN-2,Công ty Cổ phần Vải Sợi,tenant,,,
"""
PARKS = """Mã khu,Tên khu,Chủ đầu tư hạ tầng
KHU-A,KCN Mẫu A,CDT-A
KHU-B,KCN Mẫu B,CDT-A
"""
CONTACTS = """Mã tổ chức,Thư điện tử,Vai trò,Thứ tự,Hiệu lực từ
BAN,vanthu@ban.example,văn thư,1,01/02/2023
BAN,hcns@ban.example,,2,2023-03-05
CDT-A,vanthu@cdt-a.example,,,
DN-1,office@dn-1.example,,,
"""
#: The same mailbox of the same organisation from the same day.
TWICE = CONTACTS.replace("hcns@ban", "vanthu@ban").replace("2023-03-05", "1/2/2023")
SIGNERS = """Mã tổ chức,Họ tên,Chức vụ,Quyền hạn ký
BAN,Nguyễn Văn Mẫu,PHÓ TRƯỞNG BAN,KT. TRƯỞNG BAN
"""

Folder = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder with the four tables, each of which a test may replace (None leaves one out)."""

    def make(**changed: str | bytes | None) -> Path:
        tables: dict[str, str | bytes | None] = {
            "organisations": ORGANISATIONS,
            "parks": PARKS,
            "contacts": CONTACTS,
            "signers": SIGNERS,
        }
        for name, content in (tables | changed).items():
            if content is not None:
                data = content if isinstance(content, bytes) else content.encode()
                (tmp_path / f"{name}.csv").write_bytes(data)
        return tmp_path

    return make


def faults_of(path: Path, levels: dict[str, str] | None = LEVELS) -> tuple[Fault, ...]:
    with pytest.raises(BadInput) as refused:
        read_register([path], levels)
    assert all(one.message and one.remedy and one.file for one in refused.value.faults)
    return refused.value.faults


def only_fault(path: Path) -> Fault:
    faults = faults_of(path)
    assert len(faults) == 1, [str(one) for one in faults]
    return faults[0]


def read(path: Path) -> Register:
    return read_register([path], LEVELS)


def test_a_folder_of_four_tables_becomes_one_registry(folder: Folder) -> None:
    register = read(folder())
    ban, _, tenant, _ = register.organisations
    assert [one.code for one in register.organisations] == ["BAN", "CDT-A", "DN-1", "DN-2"]
    assert [(one.email, one.order) for one in ban.contacts] == [
        ("vanthu@ban.example", 1),
        ("hcns@ban.example", 2),
    ]
    assert [one.valid_from for one in ban.contacts] == [date(2023, 2, 1), date(2023, 3, 5)]
    assert ban.signers[0].authority == "KT. TRƯỞNG BAN"
    assert tenant.parks == ("KHU-A", "KHU-B")
    assert tenant.segments == ("chemical", "chemical.use")
    assert {park.code: park.investor for park in register.parks} == {"KHU-A": "CDT-A", "KHU-B": "CDT-A"}


def test_an_organisation_without_a_mailbox_is_accepted_and_listed(folder: Folder) -> None:
    assert without_mailbox(read(folder())) == ("DN-2",)


def test_files_may_be_named_one_by_one(folder: Folder) -> None:
    root = folder()
    paths = [root / f"{name}.csv" for name in ("signers", "contacts", "parks", "organisations")]
    assert read_register(paths, LEVELS) == read(root)


@pytest.mark.parametrize("table", [None, CONTACTS.splitlines()[0]], ids=["no table", "headings alone"])
def test_of_what_no_table_speaks_nothing_is_said(folder: Folder, table: str | None) -> None:
    whole = read(folder())
    columns = {"name_en", "short_name", "tax_code", "address", "place", "standing_authority", "abbreviation",
               "valid_from", "valid_until", "invented"}  # fmt: skip
    assert {code: set(fields) - columns for code, fields in whole.untold.items()} == {
        "BAN": set(), "CDT-A": {"signers"}, "DN-1": {"signers"}, "DN-2": {"contacts", "signers"},
    }  # fmt: skip
    assert columns <= set(whole.untold["BAN"])
    assert whole.untold_parks == dict.fromkeys(("KHU-A", "KHU-B"), ("zone", "invented"))
    (folder() / "contacts.csv").unlink()
    assert all("contacts" in fields for fields in read(folder(contacts=table)).untold.values())


def test_the_parent_that_a_file_does_not_speak_of_still_counts_against_a_loop(folder: Folder) -> None:
    stored = read(folder())
    alone = folder(parks=None, contacts=None, signers=None)
    (alone / "organisations.csv").write_text("Mã tổ chức,Tên tổ chức,Cấp\nCDT-A,Công ty Hạ tầng,investor\n", "utf-8")
    (alone / "ban.csv").write_text("Mã tổ chức,Tên tổ chức,Cấp,Cấp trên\nBAN,Ban,board,CDT-A\n", "utf-8")
    for name in ("parks", "contacts", "signers"):
        (alone / f"{name}.csv").unlink(missing_ok=True)
    with pytest.raises(BadInput, match="cấp trên đi vòng"):
        read_register([alone], LEVELS, stored)


def test_one_new_tenant_may_name_what_is_stored_already(folder: Folder) -> None:
    stored = read(folder())
    row = "DN-3,Công ty TNHH Mới,tenant,BAN,KHU-A,\n"
    only = folder(organisations=f"{ORGANISATIONS.splitlines()[0]}\n{row}")
    for name in ("parks", "contacts", "signers"):
        (only / f"{name}.csv").unlink()
    assert [one.code for one in read_register([only], LEVELS, stored).organisations] == ["DN-3"]
    assert {one.field for one in faults_of(only)} == {"Cấp trên trực tiếp", "Khu công nghiệp"}
    (only / "organisations.csv").write_text(f"{ORGANISATIONS.splitlines()[0]}\ndn-1,Công ty Khác,tenant,,,\n", "utf-8")
    with pytest.raises(BadInput, match="«dn-1» trong danh bạ là «DN-1»"):
        read_register([only], LEVELS, stored)
    turned = f"{ORGANISATIONS.splitlines()[0]}\nBAN,Ban Quản lý Mẫu,board,CDT-A,,\n"
    (only / "organisations.csv").write_text(turned, "utf-8")
    with pytest.raises(BadInput, match="BAN → CDT-A → BAN"):
        read_register([only], LEVELS, stored)


def test_a_level_may_be_written_by_its_name(folder: Folder) -> None:
    named = ORGANISATIONS.replace(",tenant,", ",doanh nghiệp,")
    assert read(folder(organisations=named)) == read(folder())


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("Mã tổ chức,Tên tổ chức,Cấp", "MA TO CHUC,ten to chuc,CAP"),
        lambda text: unicodedata.normalize("NFD", text),
        lambda text: "\ufeff" + text,
        lambda text: text.replace(",", "\u200b,").replace("DN-", "D\u00adN-"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: (
            text.replace("KHU-A;KHU-B", "KHU-A KHU-B")
            .replace(",", ";")
            .replace("KHU-A KHU-B", '"KHU-A;KHU-B"')
            .replace("chemical; chemical.use", '"chemical; chemical.use"')
        ),
        lambda text: "sep=|\r\n" + text.replace(",", "|"),
        lambda text: text.replace("\nDN-1", "\n,,,,,\n\nDN-1"),
        lambda text: "Danh sách tổ chức năm 2023,,,,,\n" + text,
        lambda text: text.replace("Nhóm ngành\n", "Nhóm ngành,Ghi chú\n").replace("board,,,\n", "board,,,,=gọi lại\n"),
    ],
    ids=[
        "no diacritics",
        "NFD",
        "BOM",
        "unseen marks",
        "CRLF",
        "semicolons",
        "sep line",
        "blank rows",
        "title above",
        "own notes",
    ],
)
def test_a_table_is_read_as_offices_write_it(folder: Folder, change: Callable[[str], str]) -> None:
    assert read(folder(organisations=change(ORGANISATIONS))) == read(folder(organisations=ORGANISATIONS))


def _windows_1258(text: str) -> bytes:
    """As Vietnamese Windows saves it: base letters with their own codes, tones as marks behind."""
    coded = bytearray()
    for letter in unicodedata.normalize("NFC", text):
        try:
            coded += letter.encode("cp1258")
        except UnicodeEncodeError:
            parts = unicodedata.normalize("NFD", letter)
            tone = next(mark for mark in parts if mark in "\u0300\u0301\u0303\u0309\u0323")
            base = unicodedata.normalize("NFC", parts.replace(tone, ""))
            coded += base.encode("cp1258") + tone.encode("cp1258")
    return bytes(coded)


def test_windows_1258_is_read_into_nfc(folder: Folder) -> None:
    register = read(folder(organisations=_windows_1258(ORGANISATIONS), signers=_windows_1258(SIGNERS)))
    assert register == read(folder())
    assert unicodedata.is_normalized("NFC", register.organisations[2].name)


def test_utf_16_of_a_spreadsheet_is_read(folder: Folder) -> None:
    assert read(folder(organisations=ORGANISATIONS.replace(",", "\t").encode("utf-16"))) == read(folder())


@pytest.mark.parametrize(
    "name",
    [b"C\xabng ty Giang S\xacn", b"C\xf4ng ty \x8d\x8e", b"C\xf4ng ty M\xfcller"],
    ids=["TCVN3", "undefined", "other"],
)
def test_letters_of_an_unknown_encoding_are_refused(folder: Folder, name: bytes) -> None:
    table = ORGANISATIONS.encode().split(b"\n")[0].decode()
    data = _windows_1258(table) + b"\nBAN," + name + b",board,,,\n"
    fault = only_fault(folder(organisations=data, parks=None, contacts=None, signers=None))
    assert "bảng mã" in fault.message
    assert "UTF-8" in fault.remedy


@pytest.mark.parametrize("content", [b"", b"\r\n \n"])
def test_an_empty_file_is_refused(folder: Folder, content: bytes) -> None:
    fault = only_fault(folder(organisations=content))
    assert fault.message == "tệp rỗng"
    assert fault.file.endswith("organisations.csv")


def test_headings_without_rows_are_no_registry(folder: Folder) -> None:
    heading = ORGANISATIONS.splitlines()[0]
    fault = only_fault(folder(organisations=heading, parks=None, contacts=None, signers=None))
    assert fault.message == "không có tổ chức nào"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "không đọc được" in only_fault(tmp_path / "mất.csv").message


def test_a_folder_without_tables_is_refused(tmp_path: Path) -> None:
    assert "không có tệp .csv" in only_fault(tmp_path).message


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "danh-ba.docx.pdf").write_bytes(b"%PDF-1.7")
    assert ".xlsx" in only_fault(tmp_path / "danh-ba.docx.pdf").remedy


def test_a_table_that_nobody_knows_is_refused(folder: Folder) -> None:
    fault = only_fault(folder(signers="Ngày,Nhiệt độ\n1,30\n"))
    assert "không nhận ra" in fault.message


def test_a_missing_column_is_named(folder: Folder) -> None:
    table = "\n".join(",".join((*line.split(",")[:2], *line.split(",")[3:])) for line in ORGANISATIONS.splitlines())
    fault = faults_of(folder(organisations=table))[0]
    assert (fault.field, fault.row, fault.message) == ("Cấp", 1, "thiếu cột này")


def test_a_column_that_nobody_knows_is_not_lost_in_silence(folder: Folder) -> None:
    table = ORGANISATIONS.replace("Nhóm ngành", "Nhóm nghành nghề")
    fault = only_fault(folder(organisations=table))
    assert fault.field == "Nhóm nghành nghề"
    assert "«Nhóm ngành»" in fault.remedy


def test_a_row_that_is_longer_than_its_heading_is_not_cut_in_silence(folder: Folder) -> None:
    blank = ORGANISATIONS.replace("Vải Sợi,tenant,,,", "Vải Sợi,tenant,,,, ,")
    assert read(folder(organisations=blank)) == read(folder(organisations=ORGANISATIONS))
    table = ORGANISATIONS.replace("Vải Sợi,tenant,,,", "Vải Sợi,tenant,,,chemical,reach")
    fault = only_fault(folder(organisations=table))
    assert (fault.row, fault.message) == (5, "dòng có nhiều ô hơn dòng tiêu đề")
    assert fault.file.endswith("organisations.csv")


def test_a_tax_code_that_lost_its_first_0_before_the_file_was_csv_has_it_again(folder: Folder) -> None:
    table = ORGANISATIONS.replace("Nhóm ngành\n", "Nhóm ngành,Mã số thuế\n")
    table = table.replace("Vải Sợi,tenant,,,", "Vải Sợi,tenant,,,,{}")
    kept = {"200123456": "0200123456", "0200123456": "0200123456", "0200123456-001": "0200123456-001"}
    kept |= {"079123456789": "079123456789", "200 123 456": "200 123 456"}
    for typed, code in kept.items():
        assert read(folder(organisations=table.format(typed))).organisations[3].tax_code == code


def test_a_column_given_twice_is_refused(folder: Folder) -> None:
    assert only_fault(folder(parks=PARKS.replace("Chủ đầu tư hạ tầng", "Tên KCN"))).message == "cột này có hai lần"


@pytest.mark.parametrize(
    ("table", "row", "field", "message"),
    [
        ({"organisations": ORGANISATIONS + "dn-1,Công ty Khác,tenant,,,\n"}, 6, "Mã tổ chức", "đã có ở"),
        ({"parks": PARKS + "KHU-A,KCN Khác,\n"}, 4, "Mã khu", "đã có ở"),
        ({"organisations": ORGANISATIONS.replace("KHU-B", "KHU-X")}, 4, "Khu công nghiệp", "KHU-X"),
        ({"organisations": ORGANISATIONS.replace("investor,BAN", "investor,BAM")}, 3, "Cấp trên trực tiếp", "BAM"),
        ({"organisations": ORGANISATIONS.replace("Vải Sợi,tenant", "Vải,tenants")}, 5, "Cấp", "tenants"),
        ({"organisations": ORGANISATIONS.replace("Công ty Cổ phần Vải Sợi", "")}, 5, "Tên tổ chức", "chưa điền"),
        ({"organisations": ORGANISATIONS.replace("\nDN-2", "\n")}, 5, "Mã tổ chức", "chưa điền"),
        ({"organisations": ORGANISATIONS.replace("DN-2", "Đ N 2")}, 5, "Mã tổ chức", "sai quy cách"),
        ({"organisations": ORGANISATIONS.replace("Vải Sợi", "X" * 501)}, 5, "Tên tổ chức", "nhiều nhất là 500"),
        ({"organisations": ORGANISATIONS.replace("Vải Sợi", "V\ufffdi S\ufffdi")}, 5, "Tên tổ chức", "không đọc được"),
        ({"parks": PARKS.replace("B,CDT-A", "B,CDT-B")}, 3, "Chủ đầu tư hạ tầng", "CDT-B"),
        ({"contacts": CONTACTS.replace("\nDN-1", "\nDN-9")}, 5, "Mã tổ chức", "DN-9"),
        ({"contacts": CONTACTS.replace("dn-1.example", "dn-1")}, 5, "Thư điện tử", "không phải là địa chỉ"),
        ({"contacts": CONTACTS.replace("office@", "")}, 5, "Thư điện tử", "không phải là địa chỉ"),
        ({"contacts": TWICE}, 3, "Thư điện tử", "đã có ở dòng 2"),
        ({"contacts": CONTACTS.replace("2023-03-05", "31/02/2023")}, 3, "Hiệu lực từ", "không có ngày"),
        ({"contacts": CONTACTS.replace("2023-03-05", "tháng ba")}, 3, "Hiệu lực từ", "không phải là ngày"),
        ({"contacts": CONTACTS.replace(",2,2023", ",hai,2023")}, 3, "Thứ tự", "không phải là số nguyên"),
        ({"signers": SIGNERS + "KHONG-CO,A,B,\n"}, 3, "Mã tổ chức", "KHONG-CO"),
    ],
)  # fmt: skip
def test_a_fault_names_file_row_column_and_remedy(
    folder: Folder, table: dict[str, str], row: int, field: str, message: str
) -> None:
    fault = only_fault(folder(**table))
    assert (fault.row, fault.field) == (row, field)
    assert message in fault.message
    assert fault.file.endswith(f"{next(iter(table))}.csv")


def test_what_was_probably_meant_is_offered(folder: Folder) -> None:
    fault = only_fault(folder(organisations=ORGANISATIONS.replace("Sợi,tenant", "Sợi,tennant")))
    assert "«tenant»" in fault.remedy


def test_several_mailboxes_in_one_cell_are_refused(folder: Folder) -> None:
    fault = only_fault(folder(contacts=CONTACTS.replace("office@dn-1.example", "a@dn-1.example; b@dn-1.example")))
    assert "nhiều hộp thư" in fault.message


def test_validity_that_ends_before_it_begins_is_refused(folder: Folder) -> None:
    table = "Mã tổ chức,Họ tên,Chức vụ,Hiệu lực từ,Hiệu lực đến\nBAN,Người Mẫu,TRƯỞNG BAN,2/1/2024,1/1/2024\n"
    assert only_fault(folder(signers=table)).field == "Hiệu lực đến"


def test_every_fault_is_told_at_once(folder: Folder) -> None:
    broken = ORGANISATIONS.replace("KHU-B", "KHU-X").replace("Vải Sợi,tenant", "Vải Sợi,x")
    faults = faults_of(folder(organisations=broken, contacts=CONTACTS.replace("office@dn-1.example", "sai")))
    assert [(Path(one.file).name, one.row) for one in faults] == [
        ("contacts.csv", 5),
        ("organisations.csv", 4),
        ("organisations.csv", 5),
    ]


@pytest.mark.parametrize("cell", ['=HYPERLINK("http://x";"y")', "+84 Công ty", "-", "@SUM(A1)", "\uff1dA1"])
def test_a_cell_that_looks_like_a_formula_is_refused(folder: Folder, cell: str) -> None:
    quoted = '"' + cell.replace('"', '""') + '"'
    fault = only_fault(folder(organisations=ORGANISATIONS.replace("Công ty Cổ phần Vải Sợi", quoted)))
    assert "công thức" in fault.message
    assert (fault.row, fault.field) == (5, "Tên tổ chức")


def test_a_telephone_number_may_begin_with_a_plus(folder: Folder) -> None:
    table = "Mã tổ chức,Thư điện tử,Điện thoại\nBAN,vanthu@ban.example,+84 (225) 3-000-000\n"
    assert read(folder(contacts=table)).organisations[0].contacts[0].phone == "+84 (225) 3-000-000"


def test_a_loop_of_parents_is_refused_once(folder: Folder) -> None:
    loop = ORGANISATIONS.replace("BAN,Ban Quản lý Mẫu,board,", "BAN,Ban Quản lý Mẫu,board,CDT-A")
    fault = only_fault(folder(organisations=loop))
    assert "BAN → CDT-A → BAN" in fault.message


def test_an_organisation_is_not_its_own_parent(folder: Folder) -> None:
    loop = ORGANISATIONS.replace("investor,BAN", "investor,CDT-A")
    assert "CDT-A → CDT-A" in only_fault(folder(organisations=loop)).message


def test_names_of_three_hundred_letters_are_kept_whole(folder: Folder) -> None:
    name = ("Công ty TNHH Một thành viên Sản xuất, Thương mại và Dịch vụ Đầu tư Phát triển Ống Đồng " * 4)[:300].strip()
    register = read(folder(organisations=ORGANISATIONS.replace("Công ty Cổ phần Vải Sợi", f'"{name}"')))
    assert register.organisations[3].name == name


@pytest.mark.parametrize(
    "broken", ["Công ty Cổ phần\nVải Sợi", "Công ty\tCổ phần  Vải Sợi", "Công ty Cổ\u2028phần Vải Sợi"]
)
def test_a_name_that_was_typed_on_two_lines_is_one_line(folder: Folder, broken: str) -> None:
    table = ORGANISATIONS.replace("Công ty Cổ phần Vải Sợi", f'"{broken}"').replace("KHU-A;KHU-B", '"KHU-A\nKHU-B"')
    assert read(folder(organisations=table)) == read(folder(organisations=ORGANISATIONS))
    assert Organisation(code="DN-2", name=broken, level="tenant").name == "Công ty Cổ phần Vải Sợi"


def ascii_form(label: str) -> str:
    return label.encode("idna").decode()


def test_an_internationalised_domain_is_kept_in_the_form_that_every_server_takes(folder: Folder) -> None:
    register = read(folder(contacts=CONTACTS.replace("office@dn-1.example", "Office@Ống-Đồng.example")))
    assert register.organisations[2].contacts[0].email == f"Office@{ascii_form('ống-đồng')}.example"
    assert needs_smtputf8(register) == ()


def test_a_local_part_with_diacritics_is_kept_and_listed_as_needing_smtputf8(folder: Folder) -> None:
    decomposed = unicodedata.normalize("NFD", "vănthư@đồng.example")
    register = read(folder(contacts=CONTACTS.replace("office@dn-1.example", decomposed)))
    assert needs_smtputf8(register) == (("DN-1", f"vănthư@{ascii_form('đồng')}.example"),)


def test_every_level_is_accepted_where_none_is_given(folder: Folder) -> None:
    register = read_register([folder(organisations=ORGANISATIONS.replace(",tenant,", ",phuong,"))])
    assert register.organisations[2].level == "phuong"


def test_broken_quotes_end_in_a_fault_and_not_in_a_traceback(folder: Folder) -> None:
    assert faults_of(folder(organisations=ORGANISATIONS + '"' + "x" * 200_000))


_WIDE = ["Mã tổ chức", "Tên tổ chức", "Cấp", "Địa chỉ", "Ghi chú"]


def _tenants(delimiter: str, opened: int | None = None, closed: tuple[int, int] | None = None) -> str:
    """Seven tenants; in row 4 a quote opens the cell of this column, in another row one closes a cell."""
    table = [[f"DN-{n}", f"Công ty {n}", "tenant", f"Lô {n}", "" if n % 2 else "xem lại"] for n in range(1, 8)]
    if opened is not None:
        table[2][opened] = '"' + table[2][opened]
    if closed is not None:
        table[closed[0]][closed[1]] += '"'
    return "\n".join(delimiter.join(row) for row in [_WIDE, *table]) + "\n"


@pytest.mark.parametrize("opened", range(len(_WIDE)))
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_a_quote_that_nobody_closes_swallows_no_rows(folder: Folder, delimiter: str, opened: int) -> None:
    whole = folder(organisations=_tenants(delimiter), parks=None, contacts=None, signers=None)
    assert len(read(whole).organisations) == 7
    (fault,) = faults_of(folder(organisations=_tenants(delimiter, opened)))
    assert fault.row == 4
    assert "dấu nháy kép" in fault.remedy


@pytest.mark.parametrize("opened", range(len(_WIDE)))
@pytest.mark.parametrize("closed", [(row, column) for row in (3, 5) for column in range(len(_WIDE))])
def test_two_quotes_of_different_rows_swallow_none_between_them(
    folder: Folder, opened: int, closed: tuple[int, int]
) -> None:
    faults = faults_of(folder(organisations=_tenants(",", opened, closed), parks=None, contacts=None, signers=None))
    assert 4 in {fault.row for fault in faults}


def test_an_address_with_commas_may_stand_on_two_lines(folder: Folder) -> None:
    table = 'Mã tổ chức,Tên tổ chức,Cấp,Địa chỉ,Ghi chú\nBAN,Ban Quản lý Mẫu,board,"Lô 1, đường 2,\nkhu 3, phường 4",\n'
    (one,) = read(folder(organisations=table, parks=None, contacts=None, signers=None)).organisations
    assert one.address == "Lô 1, đường 2, khu 3, phường 4"


def test_letters_after_a_closed_quote_are_not_joined_in_silence(folder: Folder) -> None:
    (fault,) = faults_of(folder(organisations=ORGANISATIONS.replace("Công ty Hạ tầng Mẫu A", '"Sao Mai" JSC')))
    assert (fault.row, "bị hỏng" in fault.message) == (3, True)
    named = ORGANISATIONS.replace("Công ty Hạ tầng Mẫu A", 'Công ty "Sao Mai"')
    assert read(folder(organisations=named)).organisations[1].name == 'Công ty "Sao Mai"'
