"""The columns of the four tables of a registry: what they are called, what they hold.

One list serves the reader, the writer and the template, so that they cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from congvan.rules.names import fold


class Holds(StrEnum):
    """What the cells of a column hold."""

    TEXT = "text"
    CODE = "code"
    CODES = "codes"
    DATE = "date"
    FLAG = "flag"
    NUMBER = "number"
    EMAIL = "email"
    PHONE = "phone"
    TAX_CODE = "tax code"


@dataclass(frozen=True, slots=True)
class Column:
    """One column. note: what the template says about it. width: in characters of the template."""

    heading: str
    field: str
    note: str
    holds: Holds = Holds.TEXT
    required: bool = False
    also: tuple[str, ...] = ()
    example: str = ""
    width: int = 16


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the four tables: `sheet` in a workbook, `file` in a folder."""

    name: str
    sheet: str
    file: str
    columns: tuple[Column, ...]

    def heading(self, field: str) -> str:
        """The heading over a field; the field itself where there is none."""
        return next((one.heading for one in self.columns if one.field == field), field)

    def named(self, heading: str) -> Column | None:
        """The column that a heading names: with or without diacritics, in any case."""
        return _NAMED[self.name].get(fold(heading))


_FROM = Column("Hiệu lực từ", "valid_from", "Ngày bắt đầu, dd/mm/yyyy; để trống nếu không giới hạn", Holds.DATE)
_UNTIL = Column("Hiệu lực đến", "valid_until", "Ngày cuối cùng còn hiệu lực, dd/mm/yyyy", Holds.DATE)
_INVENTED = Column("Minh họa", "invented", "Ghi «có» nếu là dữ liệu minh họa, không có thật", Holds.FLAG)
_OWNER = Column("Mã tổ chức", "organisation", "Mã ở trang «Tổ chức»", Holds.CODE, True, ("Mã",), "VIDU-01")

ORGANISATIONS = Kind(
    "organisations",
    "Tổ chức",
    "organisations.csv",
    (
        Column(
            "Mã tổ chức",
            "code",
            "Chữ không dấu, chữ số, dấu chấm, gạch; không trùng nhau",
            Holds.CODE,
            True,
            ("Mã",),
            "VIDU-01",
        ),
        Column(
            "Tên tổ chức",
            "name",
            "Tên đầy đủ theo giấy tờ pháp lý, không quá 500 ký tự",
            required=True,
            also=("Tên", "Tên đơn vị", "Tên doanh nghiệp"),
            example="Công ty TNHH Ví Dụ",
            width=44,
        ),
        Column("Tên tiếng Anh", "name_en", "Nếu có", also=("Tên giao dịch",), width=36),
        Column("Tên ngắn", "short_name", "Tên gọi ngắn ghi ở Nơi nhận và tiêu đề văn bản", width=24),
        Column("Cấp", "level", "Chọn trong danh sách", Holds.CODE, True, ("Cấp tổ chức",)),
        Column("Viết tắt", "abbreviation", "Chữ viết tắt dùng trong ký hiệu văn bản", example="VD"),
        Column("Cấp trên trực tiếp", "parent", "Mã của tổ chức cấp trên", Holds.CODE, also=("Cấp trên",)),
        Column(
            "Khu công nghiệp",
            "parks",
            "Mã khu; nhiều khu cách nhau bằng dấu ;",
            Holds.CODES,
            also=("KCN",),
            example="VIDU-KCN",
        ),
        Column("Nhóm ngành", "segments", "Mã nhóm; nhiều nhóm cách nhau bằng dấu ;", Holds.CODES, also=("Ngành",)),
        Column("Mã số thuế", "tax_code", "Định dạng ô là văn bản để giữ số 0 ở đầu", Holds.TAX_CODE, also=("MST",)),
        Column("Địa chỉ", "address", "Địa chỉ trụ sở", width=36),
        Column("Địa danh", "place", "Địa danh ghi trên văn bản của tổ chức"),
        Column(
            "Ủy quyền chuyển tiếp",
            "standing_authority",
            "Số, ngày văn bản ủy quyền chuyển tiếp thường trực; để trống nếu không có",
        ),
        _FROM,
        _UNTIL,
        _INVENTED,
    ),
)

PARKS = Kind(
    "parks",
    "Khu công nghiệp",
    "parks.csv",
    (
        Column(
            "Mã khu",
            "code",
            "Không trùng nhau",
            Holds.CODE,
            True,
            ("Mã khu công nghiệp", "Mã KCN"),
            "VIDU-KCN",
        ),
        Column(
            "Tên khu",
            "name",
            "Tên đầy đủ",
            required=True,
            also=("Tên khu công nghiệp", "Tên KCN"),
            example="KCN Ví Dụ",
            width=36,
        ),
        Column("Chủ đầu tư hạ tầng", "investor", "Mã tổ chức của chủ đầu tư", Holds.CODE, also=("Chủ đầu tư",)),
        Column("Khu vực", "zone", "Khu kinh tế hoặc địa bàn", also=("Khu kinh tế",), width=24),
        _INVENTED,
    ),
)

CONTACTS = Kind(
    "contacts",
    "Đầu mối",
    "contacts.csv",
    (
        _OWNER,
        Column(
            "Thư điện tử",
            "email",
            "Mỗi dòng một hộp thư; ưu tiên hộp thư chung (văn thư, hành chính)",
            Holds.EMAIL,
            True,
            ("Email", "E-mail", "Hộp thư", "Địa chỉ thư điện tử"),
            "vanthu@vidu.example",
            32,
        ),
        Column("Họ tên", "name", "Chỉ ghi khi cần; hộp thư chung để trống", also=("Họ và tên",), width=24),
        Column("Vai trò", "role", "Ví dụ: văn thư, hành chính nhân sự", also=("Bộ phận",), example="văn thư"),
        Column("Điện thoại", "phone", "Số máy", Holds.PHONE, also=("Số điện thoại", "SĐT")),
        Column("Thứ tự", "order", "1 là hộp thư được gửi trước", Holds.NUMBER, example="1"),
        Column(
            "Văn bản chỉ định",
            "designated_by",
            "Văn bản mà tổ chức chỉ định hộp thư này",
            also=("Người chỉ định",),
        ),
        _FROM,
        _UNTIL,
    ),
)

SIGNERS = Kind(
    "signers",
    "Người ký",
    "signers.csv",
    (
        _OWNER,
        Column(
            "Họ tên",
            "name",
            "Không ghi học hàm, học vị",
            required=True,
            also=("Họ và tên", "Người ký"),
            example="Nguyễn Văn Mẫu",
            width=24,
        ),
        Column(
            "Chức vụ",
            "position",
            "Viết hoa như ở khối ký",
            required=True,
            also=("Chức danh",),
            example="GIÁM ĐỐC",
            width=24,
        ),
        Column(
            "Quyền hạn ký",
            "authority",
            "Ví dụ: KT. GIÁM ĐỐC; để trống nếu ký trực tiếp",
            also=("Thẩm quyền ký",),
        ),
        _FROM,
        _UNTIL,
    ),
)

KINDS = (ORGANISATIONS, PARKS, CONTACTS, SIGNERS)

#: Each kind's columns by all of their names, folded: a reader asks for each heading of each table, again and again.
#: The first column of a name has it.
_NAMED = {
    kind.name: {fold(name): one for one in reversed(kind.columns) for name in (one.heading, one.field, *one.also)}
    for kind in KINDS
}

#: Columns that clerks keep for themselves: read past, never stored.
IGNORED = frozenset({"ghi chu", "stt", "so tt"})
#: Rows with these codes are the template's own examples.
EXAMPLES = frozenset({"VIDU-01", "VIDU-KCN"})


def recognised(headings: Sequence[str], kind: Kind) -> int:
    """How many headings of a row name a column of this kind; a required one weighs more."""
    found = {column.field: column for text in headings if text and (column := kind.named(text))}
    return sum(3 if column.required else 1 for column in found.values())
