"""Makes templates/letters/word/letter.docx from a profile: `python -m congvan.letters.word_template PROFILE OUT`.

The file is what an authority opens in Word and changes to its liking; the tags in it are docxtpl's:
{{ number }}, {%p for … %} for paragraphs, {%tr … %} for rows, {%tc … %} for cells.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import docx
from docx.enum.section import WD_SECTION
from docx.enum.table import WD_TABLE_ALIGNMENT
from docx.enum.text import WD_ALIGN_PARAGRAPH, WD_BREAK
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Mm, Pt, RGBColor

FONT = "Times New Roman"
CENTRE, LEFT = WD_ALIGN_PARAGRAPH.CENTER, WD_ALIGN_PARAGRAPH.LEFT
RIGHT, BOTH = WD_ALIGN_PARAGRAPH.RIGHT, WD_ALIGN_PARAGRAPH.JUSTIFY
#: Width of the motto in bold Times, in ems.
_MOTTO_EMS = 12.3


class Sheet:
    """A document under construction, with the sizes of one profile."""

    def __init__(self, profile: Mapping[str, Any]) -> None:
        self.profile = profile
        self.labels = profile["labels"]
        self.doc = docx.Document()
        page = profile["page"]
        self.width = page["width_mm"] - page["left_mm"] - page["right_mm"]
        section = self.doc.sections[0]
        section.page_width, section.page_height = Mm(page["width_mm"]), Mm(page["height_mm"])
        section.top_margin, section.bottom_margin = Mm(page["top_mm"]), Mm(page["bottom_mm"])
        section.left_margin, section.right_margin = Mm(page["left_mm"]), Mm(page["right_mm"])
        section.different_first_page_header_footer = True
        normal = self.doc.styles["Normal"]
        normal.font.name, normal.font.size = FONT, Pt(profile["body"]["size_pt"])
        fonts = normal.element.rPr.rFonts
        for script in ("w:eastAsia", "w:cs", "w:hAnsi"):
            fonts.set(qn(script), FONT)
        language = OxmlElement("w:lang")
        language.set(qn("w:val"), "vi-VN")
        normal.element.rPr.append(language)
        normal.paragraph_format.space_after = Pt(0)

    def line(self, place: Any, text: str, style: str, align: Any = CENTRE, *, first: bool = False) -> Any:
        """A paragraph in a cell or the document, dressed as the profile says."""
        fresh = first and hasattr(place, "paragraphs") and not place.paragraphs[0].text
        paragraph = place.paragraphs[0] if fresh else place.add_paragraph()
        paragraph.alignment = align
        if text:
            self.dress(paragraph.add_run(text), style)
        return paragraph

    def dress(self, run: Any, style: str) -> None:
        """Size, weight and slope of a style of the profile."""
        known = self.profile[style]
        run.font.name, run.font.size = FONT, Pt(known["size_pt"])
        run.bold, run.italic = known.get("bold", False), known.get("italic", False)

    def rule(self, place: Any, width_mm: float, room_mm: float) -> None:
        """A line of this length in the middle of a cell of `room_mm`."""
        paragraph = place.add_paragraph()
        form = paragraph.paragraph_format
        form.left_indent = form.right_indent = Mm(max(0, (room_mm - width_mm) / 2))
        form.line_spacing = Pt(3)
        border(paragraph, "top")

    def tags(self, *lines: str) -> None:
        """Paragraphs that hold a tag only; they vanish when the letter is made."""
        for text in lines:
            self.doc.add_paragraph(text)


def border(paragraph: Any, *sides: str, colour: str = "000000", points: float = 0.75) -> None:
    """Lines at some sides of a paragraph."""
    held = OxmlElement("w:pBdr")
    for side in sides:
        line = OxmlElement(f"w:{side}")
        for name, value in (("val", "single"), ("sz", str(int(points * 8))), ("space", "1"), ("color", colour)):
            line.set(qn(f"w:{name}"), value)
        held.append(line)
    paragraph._p.get_or_add_pPr().append(held)


def columns(sheet: Sheet, rows: int, *widths_mm: float) -> Any:
    """A table without lines."""
    table = sheet.doc.add_table(rows=rows, cols=len(widths_mm))
    table.alignment, table.autofit = WD_TABLE_ALIGNMENT.CENTER, False
    margins = OxmlElement("w:tblCellMar")
    for side in ("left", "right"):
        none = OxmlElement(f"w:{side}")
        none.set(qn("w:w"), "0")
        none.set(qn("w:type"), "dxa")
        margins.append(none)
    table._tbl.tblPr.append(margins)
    for column, width in zip(table.columns, widths_mm, strict=True):
        column.width = Mm(width)
    for row in table.rows:
        for cell, width in zip(row.cells, widths_mm, strict=True):
            cell.width = Mm(width)
    return table


def head(sheet: Sheet) -> None:
    """Quốc hiệu, the agency, number and date, V/v and the stamp of urgency."""
    p = sheet.profile
    left, right = (sheet.width * p["header"][f"{side}_share"] for side in ("left", "right"))
    table = columns(sheet, 2, left, right)
    agency, state = table.rows[0].cells
    sheet.line(agency, "{%p if parent %}", "parent", first=True)
    sheet.line(agency, "{{ parent }}", "parent")
    sheet.line(agency, "{%p endif %}", "parent")
    sheet.line(agency, "{{ issuer }}", "issuer")
    sheet.rule(agency, left * 0.36, left)
    sheet.line(state, sheet.labels["state"], "state", first=True)
    sheet.line(state, sheet.labels["motto"], "motto")
    sheet.rule(state, _MOTTO_EMS * p["motto"]["size_pt"] * 0.3528, right)
    number, day = table.rows[1].cells
    sheet.line(number, "{{ number }}", "number", first=True)
    sheet.line(number, "{%p if subject %}", "subject")
    sheet.line(number, "{{ subject }}", "subject").paragraph_format.space_before = Pt(p["subject"]["gap_pt"])
    sheet.line(number, "{%p endif %}", "subject")
    stamp(sheet, number, left)
    sheet.line(day, "{{ date }}", "date", first=True)


def stamp(sheet: Sheet, place: Any, room_mm: float) -> None:
    """The urgency in its frame."""
    sheet.line(place, "{%p if stamp %}", "stamp")
    paragraph = sheet.line(place, "{{ stamp }}", "stamp")
    colour = sheet.profile["stamp"]["colour"].lstrip("#").upper()
    paragraph.runs[0].font.color.rgb = RGBColor.from_string(colour)
    form = paragraph.paragraph_format
    form.left_indent = form.right_indent = Mm(room_mm * 0.25)
    form.space_before = Mm(sheet.profile["stamp"]["gap_mm"])
    border(paragraph, "top", "left", "bottom", "right", colour=colour, points=1)
    sheet.line(place, "{%p endif %}", "stamp")


def title(sheet: Sheet) -> None:
    """The type title and its subject (Báo cáo, Công điện)."""
    sheet.tags("{%p if title %}")
    sheet.line(sheet.doc, "{{ title }}", "title").paragraph_format.space_before = Mm(sheet.profile["title"]["gap_mm"])
    sheet.line(sheet.doc, "{{ title_subject }}", "title_subject")
    sheet.rule(sheet.doc, 45, sheet.width)
    sheet.tags("{%p endif %}")


def addressees(sheet: Sheet) -> None:
    """Kính gửi: one on its line, several under the colon."""
    a, doc = sheet.profile["addressees"], sheet.doc
    sheet.tags("{%p if addressees | length == 1 %}")
    one = sheet.line(doc, "{{ salutation }} {{ addressees[0] }}", "addressees")
    one.paragraph_format.space_before = one.paragraph_format.space_after = Mm(a["gap_mm"])
    sheet.tags("{%p elif addressees %}")
    first = sheet.line(doc, "{{ salutation }}", "addressees", LEFT)
    first.paragraph_format.left_indent, first.paragraph_format.space_before = Mm(a["indent_mm"]), Mm(a["gap_mm"])
    sheet.tags("{%p for name in addressees %}")
    each = sheet.line(doc, "- {{ name }}", "addressees", LEFT)
    each.paragraph_format.left_indent = Mm(a["indent_mm"] + 21)
    each.paragraph_format.first_line_indent, each.paragraph_format.space_before = Mm(-2.5), Pt(a["line_gap_pt"])
    sheet.tags("{%p endfor %}", "{%p endif %}")


def body(sheet: Sheet) -> None:
    """The words: paragraphs with runs, and tables."""
    sheet.tags("{%p for block in body %}", "{%p if block.kind == 'table' %}")
    table(sheet, "block.rows", "")
    for side, align in (("center", CENTRE), ("right", RIGHT), ("left", LEFT)):
        sheet.tags(f"{{%p elif block.align == '{side}' %}}")
        paragraph(sheet, align, indent=False)
    sheet.tags("{%p elif block.kept %}")
    paragraph(sheet, BOTH, indent=True).paragraph_format.keep_with_next = True
    sheet.tags("{%p else %}")
    paragraph(sheet, BOTH, indent=True)
    sheet.tags("{%p endif %}", "{%p endfor %}")


def paragraph(sheet: Sheet, align: Any, *, indent: bool) -> Any:
    """One paragraph of the words."""
    known = sheet.profile["body"]
    made = sheet.line(sheet.doc, "{{r block.text }}", "body", align)
    form = made.paragraph_format
    form.space_before, form.line_spacing = Pt(known["paragraph_gap_pt"]), known["line_spacing"]
    form.first_line_indent = Mm(known["indent_mm"]) if indent else None
    return made


def table(sheet: Sheet, rows: str, heads: str) -> None:
    """A table with lines, as many columns as the rows have. A tag takes the row or the cell it stands in."""
    made = sheet.doc.add_table(rows=4 if heads else 3, cols=3, style="Table Grid")
    lines = [(f"{{%tr for row in {rows} %}}",), _cells("row"), ("{%tr endfor %}",)]
    if heads:
        lines.insert(0, _cells(heads))
    for row, texts in zip(made.rows, lines, strict=True):
        for cell, text in zip(row.cells, texts, strict=False):
            sheet.line(cell, text, "table", LEFT, first=True)


def _cells(row: str) -> tuple[str, str, str]:
    return f"{{%tc for cell in {row} %}}", "{{r cell }}", "{%tc endfor %}"


def closing(sheet: Sheet) -> None:
    """Nơi nhận on the left, the signature on the right."""
    p = sheet.profile
    sheet.tags("{%p if signer or distribution %}")
    left, right = (sheet.width * p["closing"][f"{side}_share"] for side in ("left", "right"))
    made = columns(sheet, 1, left, right)
    split = OxmlElement("w:cantSplit")
    made.rows[0]._tr.get_or_add_trPr().append(split)
    copies, signature = made.rows[0].cells
    for cell in (copies, signature):
        cell.paragraphs[0].paragraph_format.line_spacing = Mm(p["closing"]["gap_mm"])
    sheet.line(copies, "{%p if distribution %}", "distribution", LEFT)
    sheet.line(copies, sheet.labels["distribution"], "distribution_heading", LEFT)
    sheet.line(copies, "{%p endif %}", "distribution", LEFT)
    for text in ("{%p for line in distribution %}", "- {{ line }}", "{%p endfor %}"):
        sheet.line(copies, text, "distribution", LEFT)
    sheet.line(copies, "{{ drafter }}", "drafter", LEFT)
    for text in ("{%p if authority %}", "{{ authority }}", "{%p endif %}", "{{ position }}"):
        sheet.line(signature, text, "authority").paragraph_format.keep_with_next = True
    name = sheet.line(signature, "{{ signer }}", "signer")
    name.paragraph_format.space_before = Mm(p["signature"]["room_mm"])
    sheet.tags("{%p endif %}")


def appendices(sheet: Sheet) -> None:
    """Each on a page of its own, with its title, its line of reference and its table."""
    sheet.tags("{%p for part in appendices %}")
    opening = sheet.doc.add_paragraph()
    opening.add_run().add_break(WD_BREAK.PAGE)
    for text, style in (
        ("{{ part.number }}", "appendix"),
        ("{{ part.title }}", "appendix_title"),
        ("{{ part.reference }}", "appendix_reference"),
    ):
        sheet.line(sheet.doc, text, style)
    table(sheet, "part.rows", "part.columns")
    sheet.line(sheet.doc, "{{ part.note }}", "table", LEFT)
    sheet.tags("{%p endfor %}")


def margins(sheet: Sheet) -> None:
    """Page numbers from page 2 in the top margin; the marks beside them."""
    section = sheet.doc.sections[0]
    section.header_distance = Mm(sheet.profile["page_number"]["baseline_mm"] - 4)
    for header in (section.first_page_header, section.header):
        marks = sheet.line(header, "{{ [illustration, internal] | select | join(' ') }}", "mark", LEFT, first=True)
        marks.paragraph_format.space_after = Pt(0)
    number = section.header.add_paragraph()
    number.alignment = CENTRE
    for kind in ("begin", None, "end"):
        run = number.add_run()
        run.font.name, run.font.size = FONT, Pt(sheet.profile["page_number"]["size_pt"])
        if kind is None:
            code = OxmlElement("w:instrText")
            code.set(qn("xml:space"), "preserve")
            code.text = "PAGE"
            run._r.append(code)
        else:
            mark = OxmlElement("w:fldChar")
            mark.set(qn("w:fldCharType"), kind)
            run._r.append(mark)
    assert section.start_type is WD_SECTION.NEW_PAGE


def build(profile: Mapping[str, Any]) -> Any:
    """The template as a python-docx document."""
    sheet = Sheet(profile)
    for part in (margins, head, title, addressees, body, closing, appendices):
        part(sheet)
    first = sheet.doc.paragraphs[0]
    if not first.text:
        first._p.getparent().remove(first._p)
    return sheet.doc


def main(arguments: list[str]) -> None:
    """Read the profile, write the template: `PROFILE.json OUT.docx`."""
    source, target = arguments
    build(json.loads(Path(source).read_text("utf-8"))).save(target)


if __name__ == "__main__":
    main(sys.argv[1:])
