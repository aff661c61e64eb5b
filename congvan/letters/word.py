"""The same letter as .docx, for the clerk who finishes it in Word and comes back with the signed PDF.

The template is templates/letters/word/letter.docx, whose tags are docxtpl's and which an authority
replaces with its own; a folder before the shipped one wins.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2.sandbox import SandboxedEnvironment

from congvan.errors import ActRefused, NothingInstalled
from congvan.letters.fragment import Node, Tree
from congvan.letters.numbering import point
from congvan.letters.press import Press
from congvan.letters.sheet import Sheet
from congvan.letters.word_layout import Table, fit, sections, width_mm

TEMPLATE = "word/letter.docx"
#: Before the name of a drawing, where it is to stand; a private-use character, which no letter holds.
_MARK = "\ue000"
#: What python-docx takes for a property of the file; a trích yếu may have 500 characters.
_LONGEST_PROPERTY = 255


def document(press: Press, sheet: Sheet, template: Path | None = None) -> bytes:
    """The letter as .docx; equal sheets give equal bytes.

    Raise NothingInstalled without a template, ActRefused for what is no authority's letter: the template has its head.
    """
    # Loaded where it is used: few processes write a Word file.
    from docxtpl import DocxTemplate

    source = template or press.file(TEMPLATE)
    if source is None:
        raise NothingInstalled(f"không có {TEMPLATE} trong thư mục mẫu văn bản")
    frame, tree = press.composed(sheet)
    if frame["frame"] != "authority":
        raise ActRefused("bản Word chỉ làm được cho văn bản của cơ quan; ghi tệp .pdf")
    made = DocxTemplate(source)
    context = _context(frame, tree)
    made.render(context, jinja_env=SandboxedEnvironment(autoescape=True))
    page = frame["profile"]["page"]
    _draw(made.docx, press, sheet.images, width_mm(page))
    tables = [Table(one["widths"], width_mm(page), one["spans"]) for one in context["body"] if one["kind"] == "table"]
    for part in frame["appendices"]:
        tables.append(Table(part["widths"], width_mm(page, landscape=part["landscape"])))
    fit(made.docx, tables)
    sections(made.docx, [part["landscape"] for part in frame["appendices"]])
    core = made.docx.core_properties
    core.title, core.subject = _short(frame["document"]["title"]), _short(frame["document"]["subject"])
    core.author, core.language = _short(frame["document"]["author"]), str(frame["language"])
    out = io.BytesIO()
    made.save(out)
    return _settled(out.getvalue())


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_PROPERTY else text[: _LONGEST_PROPERTY - 1] + "…"


def _draw(made: Any, press: Press, images: Mapping[str, str], width_mm: float) -> None:
    """The drawings in place of their marks, as pictures: Word shows no SVG of ours."""
    from docx.oxml.ns import qn
    from docx.shared import Mm
    from docx.text.paragraph import Paragraph

    for element in list(made.element.body.iter(qn("w:p"))):
        paragraph = Paragraph(element, made)
        name = paragraph.text.removeprefix(_MARK)
        if paragraph.text.startswith(_MARK) and name in images:
            for run in list(paragraph.runs):
                element.remove(run._r)
            picture = io.BytesIO(press.picture(images[name], width_mm))
            paragraph.add_run().add_picture(picture, width=Mm(width_mm))


def _settled(data: bytes) -> bytes:
    """The same file without the hour at which it was packed."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), old.read(name), zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _context(frame: Mapping[str, Any], tree: Tree) -> dict[str, Any]:
    small = frame["profile"]["table"]["size_pt"]
    blocks = list(_blocks(tree, small))
    # The end of the words stays with the signature.
    for block in blocks[-2:]:
        block["kept"] = True
    parts = [
        {
            **part,
            "columns": [_rich([name], bold=True, size=small) for name in part["columns"]],
            "rows": [[_rich([cell], size=small) for cell in row] for row in part["rows"]],
        }
        for part in frame["appendices"]
    ]
    return {**frame, "body": blocks, "appendices": parts}


def _blocks(tree: Tree, small: float) -> Iterator[dict[str, Any]]:
    for node in tree:
        tag = node["t"]
        if tag == "p":
            yield {
                "kind": "p", "text": _rich(node["c"]), "align": node.get("align", ""), "kept": _leads(node["c"]),
            }  # fmt: skip
        elif tag in {"ul", "ol"}:
            yield from _items(node, small)
        elif tag == "table":
            yield {
                "kind": "table", "rows": [[_cell(cell, small) for cell in row["c"]] for row in node["c"]],
                "widths": node["widths"],
                "spans": [[int(cell.get("colspan", "1")) for cell in row["c"]] for row in node["c"]],
            }  # fmt: skip
        elif tag == "hr":
            yield {"kind": "p", "text": _rich(["…" * 54]), "align": "left"}
        elif tag == "img":
            yield {"kind": "p", "text": _rich([f"{_MARK}{node['src']}"]), "align": "center"}


def _leads(children: list[Any]) -> bool:
    """A heading, or a line that announces what follows, does not end a page."""
    last = children[-1] if children else ""
    return last.endswith(":") if isinstance(last, str) else len(children) == 1 and last["t"] == "b"


def _items(node: Node, small: float) -> Iterator[dict[str, Any]]:
    for mark, item in _marked(node):
        parts = item["c"] or [{"t": "p", "c": []}]
        if parts[0]["t"] == "p":
            yield {"kind": "p", "text": _rich([mark, *parts[0]["c"]]), "align": ""}
            parts = parts[1:]
        yield from _blocks(parts, small)


def _marked(node: Node) -> Iterator[tuple[str, Node]]:
    """The items of a list, each with its dash, number or letter."""
    first = int(node.get("start", "1")) - 1
    for at, item in enumerate(node["c"], first):
        yield "- " if node["t"] == "ul" else f"{point(at)}) " if node.get("type") == "a" else f"{at + 1}. ", item


def _cell(node: Node, small: float) -> Any:
    inner: list[Any] = []
    for at, line in enumerate(_lines(node["c"])):
        inner += [{"t": "br", "c": []}, *line] if at else line
    return _rich(inner, bold=node["t"] == "th", size=small)


def _lines(tree: Tree) -> Iterator[list[Any]]:
    """The paragraphs of a cell; those of a list begin with their marks, those of a table follow each other."""
    for node in tree:
        if node["t"] == "p":
            yield node["c"]
        elif node["t"] in {"ul", "ol"}:
            for mark, item in _marked(node):
                first, *rest = [*_lines(item["c"])] or [[]]
                yield [mark, *first]
                yield from rest
        elif node["t"] == "table":
            for row in node["c"]:
                for cell in row["c"]:
                    yield from _lines(cell["c"])


def _rich(children: list[Any], *, bold: bool = False, size: float = 0) -> Any:
    from docxtpl import RichText

    made = RichText()
    for text, marks in _runs(children, frozenset("b") if bold else frozenset()):
        made.add(
            text, bold="b" in marks, italic="i" in marks, underline="u" in marks, font="Times New Roman",
            size=int(2 * size) or None,
        )  # fmt: skip
    return made


def _runs(children: list[Any], marks: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    for child in children:
        if isinstance(child, str):
            yield child, marks
        elif child["t"] == "br":
            yield "\n", marks
        else:
            yield from _runs(child["c"], marks | {child["t"]})
