"""What a .docx gets once its words are in: widths and spans of tables, and each appendix on pages of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from congvan.letters.frame import COUNTERS

#: A cell that holds a number and nothing else.
_FIGURE = re.compile(r"\d[\d.]*")
#: A column that only counts the rows.
_COUNTER_MM = 14.0


@dataclass(frozen=True, slots=True)
class Table:
    """A table as the letter has it. widths: of its columns, in percent or as Typst writes them ("12mm", "2fr", "auto").

    spans: of each row, how many columns each of its cells takes.
    """

    widths: Sequence[str]
    room_mm: float
    spans: Sequence[Sequence[int]] = ()


def width_mm(page: Mapping[str, float], *, landscape: bool = False) -> float:
    """How wide the words are on a page of this profile."""
    whole: float = page["height_mm"] if landscape else page["width_mm"]
    return whole - page["left_mm"] - page["right_mm"]


def fit(made: Any, tables: Sequence[Table]) -> None:
    """Give the tables with lines their widths: those of the words and then those of the appendices, as they stand."""
    shapes = iter(tables)
    for table in _lined(made):
        if shape := next(shapes, None):
            _fit(table, shape)


def _lined(made: Any) -> Iterator[Any]:
    """The tables with lines. Read from the tree: python-docx still knows the body that was replaced."""
    from docx.oxml.ns import qn
    from docx.table import Table as Lined

    for element in made.element.body.iter(qn("w:tbl")):
        table = Lined(element, made)
        if table.style is not None and table.style.name == "Table Grid":
            yield table


def _fit(table: Any, shape: Table) -> None:
    """Widths for the columns that the letter has, of which the template's table knows none; numbers to the right."""
    from docx.enum.text import WD_ALIGN_PARAGRAPH
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn
    from docx.shared import Mm

    rows = [row._tr.tc_lst for row in table.rows]
    spans = [list(shape.spans[at]) if at < len(shape.spans) else [1] * len(cells) for at, cells in enumerate(rows)]
    count = max((sum(row) for row in spans), default=0)
    heads = [_words(cell) for cell in rows[0]] if rows and len(rows[0]) == count else [""] * count
    widths = [Mm(one) for one in _widths(shape, heads)]
    grid = table._tbl.tblGrid
    for old in list(grid):
        grid.remove(old)
    for width in widths:
        column = OxmlElement("w:gridCol")
        column.set(qn("w:w"), str(int(width.twips)))
        grid.append(column)
    for cells, row in zip(rows, spans, strict=True):
        at = 0
        for cell, span in zip(cells, row, strict=False):
            cell.grid_span = span
            cell.width = Mm(sum(width.mm for width in widths[at : at + span]))
            at += span
            if _FIGURE.fullmatch(_words(cell)):
                for paragraph in cell.iter(qn("w:p")):
                    paragraph.alignment = WD_ALIGN_PARAGRAPH.RIGHT


def _words(cell: Any) -> str:
    from docx.oxml.ns import qn

    return "".join(text.text or "" for text in cell.iter(qn("w:t")))


def _widths(shape: Table, heads: Sequence[str]) -> list[float]:
    """The widths of the columns in millimetres; those that are fixed first, the rest shares what is left."""
    if len(shape.widths) != len(heads) or not all(shape.widths):
        widths = ["auto" if head in COUNTERS else "1fr" for head in heads]
    else:
        widths = list(shape.widths)
    fixed = [_fixed(one, shape.room_mm) for one in widths]
    parts = [float(one.removesuffix("fr")) if one.endswith("fr") else 0.0 for one in widths]
    part = (shape.room_mm - sum(fixed)) / (sum(parts) or 1)
    return [known or share * part for known, share in zip(fixed, parts, strict=True)]


def _fixed(width: str, room_mm: float) -> float:
    if width == "auto":
        return _COUNTER_MM
    if width.endswith("%"):
        return room_mm * float(width.strip("%")) / 100
    if width.endswith("pt"):
        return float(width.removesuffix("pt")) * 25.4 / 72
    return float(width.removesuffix("mm")) if width.endswith("mm") else 0.0


def sections(made: Any, landscape: Sequence[bool]) -> None:
    """A section for each appendix: its pages count from 1, across where its table is wide (NĐ 30/2020 Phụ lục I, mục
    I.2). In the template each begins with a break; one that was made otherwise stays as it is."""
    from docx.oxml.ns import qn

    body = made.element.body
    breaks = [one for one in body.iterchildren(qn("w:p")) if _breaks(one)]
    last = body.find(qn("w:sectPr"))
    if last is None or not landscape or len(breaks) < len(landscape):
        return
    whole = deepcopy(last)
    # What ends before the first appendix is the letter; before the second, the first appendix…
    for paragraph, across in zip(breaks[-len(landscape) :], [None, *landscape], strict=False):
        for run in list(paragraph.iterchildren(qn("w:r"))):
            paragraph.remove(run)
        paragraph.get_or_add_pPr().append(_section(whole, across))
    body.replace(last, _section(whole, landscape[-1]))


def _breaks(paragraph: Any) -> bool:
    from docx.oxml.ns import qn

    return any(one.get(qn("w:type")) == "page" for one in paragraph.iter(qn("w:br")))


def _section(whole: Any, across: bool | None) -> Any:
    """The letter's own section, or (across or not) one like it for an appendix."""
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    made = deepcopy(whole)
    if across is None:
        return made
    # What an appendix does not say of its headers, it has from the section before.
    for name in ("w:headerReference", "w:footerReference"):
        for one in list(made.iterchildren(qn(name))):
            made.remove(one)
    size = made.find(qn("w:pgSz"))
    if across:
        wide, high = size.get(qn("w:w")), size.get(qn("w:h"))
        size.set(qn("w:w"), high)
        size.set(qn("w:h"), wide)
        size.set(qn("w:orient"), "landscape")
    number = OxmlElement("w:pgNumType")
    number.set(qn("w:start"), "1")
    made.find(qn("w:pgMar")).addnext(number)
    return made
