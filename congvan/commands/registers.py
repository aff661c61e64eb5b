"""`congvan register`: the office's registers, to be printed and bound or gone through in a workbook."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from congvan.commands import given
from congvan.commands.session import opened
from congvan.commands.show import as_json, place, save

if TYPE_CHECKING:
    from congvan.acts.registers import Register
    from congvan.house import House


async def register(
    kind: Literal["outgoing", "incoming", "tracking"],
    /,
    *,
    year: given.Whole,
    out: Path | None = None,
    exercises: bool = False,
    json: bool = False,
) -> None:
    """In sổ đăng ký văn bản đi, văn bản đến, sổ theo dõi giải quyết (NĐ 30/2020, Phụ lục IV).

    Parameters
    ----------
    kind
        outgoing: văn bản đi; incoming: văn bản đến; tracking: theo dõi giải quyết.
    year
        Năm của sổ.
    out
        Tệp .pdf (A4 ngang) hoặc .xlsx sẽ ghi.
    exercises
        Gồm cả các đợt diễn tập, có ghi chú.
    json
        In các dòng dạng JSON.
    """
    from congvan.acts import registers

    given.year(year, "--year")
    if out is None and not json:
        raise given.refuse("--out", "còn thiếu", "ghi tên tệp .pdf hoặc .xlsx, hoặc thêm --json")
    if out is not None:
        if out.suffix.lower() not in (".pdf", ".xlsx"):
            raise given.refuse("--out", f"không ghi được «{out.name}»", "ghi tên tệp có đuôi .pdf hoặc .xlsx", str(out))
        place(out)
    async with opened() as house:
        found = await registers.register(house, kind, year, exercises=exercises)
        if out is not None:
            save(out, _pdf(house, found) if out.suffix.lower() == ".pdf" else _xlsx(found))
    if json:
        columns = [name for name, _ in found.columns]
        as_json({"title": found.title, "year": year, "columns": columns, "rows": found.rows})


def _pdf(house: House, found: Register) -> bytes:
    from congvan.letters.press import Press

    assert isinstance(house.press, Press), "the house that commands build prints real pages"
    return house.press.register(
        {
            "title": found.title, "year": str(found.year), "issuer": found.issuer, "parent": found.parent,
            "illustration": found.illustration, "columns": [name for name, _ in found.columns],
            "widths": [share for _, share in found.columns], "rows": found.rows,
        }
    )  # fmt: skip


def _xlsx(found: Register) -> bytes:
    import xlsxwriter

    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    sheet = book.add_worksheet(found.title[:31])
    title = book.add_format({"bold": True, "font_size": 14, "align": "center"})
    head = book.add_format({"bold": True, "text_wrap": True, "border": 1, "align": "center", "valign": "vcenter"})
    cell = book.add_format({"text_wrap": True, "border": 1, "valign": "top"})
    last = len(found.columns) - 1
    sheet.merge_range(0, 0, 0, last, found.issuer.upper(), book.add_format({"bold": True}))
    sheet.merge_range(1, 0, 1, last, f"{found.title.upper()} NĂM {found.year}", title)
    for column, (name, share) in enumerate(found.columns):
        sheet.set_column(column, column, share * 1.2)
        sheet.write_string(2, column, name, head)
        sheet.write_string(3, column, f"({column + 1})", head)
    for number, row in enumerate(found.rows, start=4):
        for column, value in enumerate(row):
            sheet.write_string(number, column, value, cell)
    sheet.freeze_panes(4, 0)
    sheet.repeat_rows(2, 3)
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.set_margins(left=1.0, right=0.5, top=0.6, bottom=0.6)
    sheet.set_footer("&RTrang &P/&N")
    sheet.fit_to_pages(1, 0)
    book.close()
    return buffer.getvalue()
