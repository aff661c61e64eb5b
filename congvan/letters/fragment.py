"""The small HTML of letters, read into a tree.

A tree is JSON: a block or an inline is {"t": tag, "c": [children], …}, running text is a string.
What is not in the vocabulary is an error, so a template that asks for more is found before launch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html.parser import HTMLParser
from typing import Any

from congvan.errors import CongvanError

Node = dict[str, Any]
Tree = list[Node]

INLINE = frozenset({"b", "i", "u", "a", "br"})
BLOCK = frozenset({"p", "ul", "ol", "table", "img", "hr"})
PARTS = frozenset({"li", "tbody", "thead", "colgroup", "col", "tr", "th", "td"})
VOID = frozenset({"br", "img", "hr", "col"})
SAME_AS = {"strong": "b", "em": "i"}
ATTRIBUTES: dict[str, frozenset[str]] = {
    "a": frozenset({"href"}),
    "p": frozenset({"align"}),
    "ol": frozenset({"type", "start"}),
    "col": frozenset({"width"}),
    "th": frozenset({"align", "colspan"}),
    "td": frozenset({"align", "colspan"}),
    "img": frozenset({"src", "alt"}),
}
#: Which parents a part may have; the rest stand at the top, in li, th, td, and inlines anywhere but here.
PARENTS: dict[str, frozenset[str]] = {
    "li": frozenset({"ul", "ol"}),
    "tr": frozenset({"table", "tbody", "thead"}),
    "th": frozenset({"tr"}),
    "td": frozenset({"tr"}),
    "tbody": frozenset({"table"}),
    "thead": frozenset({"table"}),
    "colgroup": frozenset({"table"}),
    "col": frozenset({"colgroup"}),
}
_LINK = re.compile(r"^(?:https?://|mailto:)[^\s<>\"]+$")
# HTML's own white space; a no-break space (U+00A0) is a letter.
_SPACE = re.compile(r"[ \t\n\f]+")


class WordsRefused(CongvanError):
    """A letter's words use HTML outside the small vocabulary."""


class _Walker(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root: Node = {"t": "", "c": []}
        self.open: list[Node] = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        tag = SAME_AS.get(tag, tag)
        if tag not in INLINE | BLOCK | PARTS:
            raise WordsRefused(f"thẻ <{tag}> không dùng trong văn bản")
        parent = self.open[-1]["t"]
        if tag in PARENTS and parent not in PARENTS[tag]:
            where = f"<{parent}>" if parent else "thân văn bản"
            raise WordsRefused(f"<{tag}> không đứng được trong {where}")
        if tag in BLOCK and parent in {"p", *INLINE}:
            raise WordsRefused(f"<{tag}> không đứng được trong <{parent}>")
        node = {"t": tag, "c": [], **_attributes(tag, attrs)}
        self.open[-1]["c"].append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_endtag(self, tag: str) -> None:
        tag = SAME_AS.get(tag, tag)
        if tag in VOID:
            return
        if self.open[-1]["t"] != tag:
            opened = self.open[-1]["t"]
            raise WordsRefused(f"</{tag}> đóng nhầm <{opened}>" if opened else f"</{tag}> không có thẻ mở")
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1]["c"].append(_SPACE.sub(" ", data))

    def handle_comment(self, data: str) -> None:
        """Comments are for whoever edits the template."""

    def unknown_decl(self, data: str) -> None:
        raise WordsRefused(f"<![{data[:20]}…> không dùng trong văn bản")

    def handle_decl(self, decl: str) -> None:
        raise WordsRefused(f"<!{decl[:20]}> không dùng trong văn bản")

    def handle_pi(self, data: str) -> None:
        raise WordsRefused(f"<?{data[:20]}> không dùng trong văn bản")


def _attributes(tag: str, attrs: list[tuple[str, str | None]]) -> dict[str, str]:
    known = ATTRIBUTES.get(tag, frozenset())
    for name, value in attrs:
        if name not in known:
            raise WordsRefused(f"thuộc tính {name} của <{tag}> không dùng trong văn bản")
        if name == "href" and not _LINK.match(value or ""):
            raise WordsRefused(f"văn bản chỉ dẫn đến https, http hoặc mailto, không đến «{value}»")
        if name == "align" and value not in {"left", "center", "right", "justify"}:
            raise WordsRefused(f"<{tag} align={value}>: chỉ dùng left, center, right, justify")
        if name == "width" and not re.fullmatch(r"\d{1,3}%", value or ""):
            raise WordsRefused(f"độ rộng của cột là số phần trăm, không phải «{value}»")
        if name in {"start", "colspan"} and not re.fullmatch(r"[1-9]\d{0,2}", value or ""):
            raise WordsRefused(f"<{tag} {name}={value}>: chỉ ghi số từ 1 đến 999")
        if name == "type" and value not in {"1", "a"}:
            raise WordsRefused(f"<ol type={value}>: văn bản chỉ đánh số 1. 2. hoặc a) b)")
    return {name: value or "" for name, value in attrs}


def read(html: str) -> Tree:
    """The blocks of this HTML. Raise WordsRefused for what is not in the vocabulary."""
    walker = _Walker()
    walker.feed(html)
    walker.close()
    if len(walker.open) > 1:
        raise WordsRefused(f"thiếu thẻ đóng </{walker.open[-1]['t']}>")
    return _blocks(walker.root["c"])


def _blocks(children: list[Any]) -> Tree:
    """Top-level children as blocks: loose running text becomes a paragraph, white space nothing."""
    blocks: Tree = []
    loose: list[Any] = []
    for child in [*children, None]:
        if child is None or (isinstance(child, dict) and child["t"] in BLOCK):
            if trimmed := _trimmed(loose):
                blocks.append({"t": "p", "c": trimmed})
            loose = []
            if child is not None:
                blocks.append(_tidied(child))
        else:
            loose.append(child)
    return [block for block in blocks if block["t"] != "p" or block["c"]]


def _tidied(node: Node) -> Node:
    tag, children = node["t"], node["c"]
    if tag == "p":
        return {**node, "c": _trimmed(children)}
    if tag in {"ul", "ol"}:
        items = [{**child, "c": _blocks(child["c"])} for child in _elements(node, {"li"})]
        return {**node, "c": items}
    if tag == "table":
        return _table(node)
    return node


def _elements(node: Node, tags: Iterable[str]) -> list[Node]:
    """The child elements; running text between them is an error."""
    elements = []
    for child in node["c"]:
        if isinstance(child, str):
            if child.strip():
                raise WordsRefused(f"chữ «{child.strip()[:30]}» nằm ngoài các mục, các ô của <{node['t']}>")
        elif child["t"] in tags:
            elements.append(child)
        else:
            raise WordsRefused(f"<{child['t']}> không đứng được trong <{node['t']}>")
    return elements


def _table(node: Node) -> Node:
    """A table as {"t": "table", "widths": ["10%", …], "c": [row, …]}, each row with its cells."""
    widths: list[str] = []
    rows: list[Node] = []
    for part in _elements(node, {"thead", "tbody", "tr", "colgroup"}):
        if part["t"] == "colgroup":
            widths = [column.get("width", "") for column in _elements(part, {"col"})]
        else:
            rows += [part] if part["t"] == "tr" else _elements(part, {"tr"})
    tidy = [
        {"t": "tr", "c": [{**cell, "c": _blocks(cell["c"])} for cell in _elements(row, {"th", "td"})]} for row in rows
    ]
    columns = max((_width(row) for row in tidy), default=0)
    if not columns:
        raise WordsRefused("<table> không có ô nào")
    return {"t": "table", "widths": widths, "columns": columns, "c": tidy}


def _width(row: Node) -> int:
    return sum(int(cell.get("colspan", "1")) for cell in row["c"])


def _trimmed(children: list[Any]) -> list[Any]:
    """Running text without white space at its ends and without doubled white space across elements."""
    out: list[Any] = []
    _flow(children, out, [True])
    _strip_end(out)
    return out


def _flow(children: list[Any], out: list[Any], after_space: list[bool]) -> None:
    for child in children:
        if isinstance(child, str):
            text = child.lstrip(" ") if after_space[0] else child
            if text:
                out.append(text)
                after_space[0] = text.endswith(" ")
        elif child["t"] == "br":
            _strip_end(out)
            out.append(child)
            after_space[0] = True
        else:
            inner: list[Any] = []
            _flow(child["c"], inner, after_space)
            out.append({**child, "c": inner})


def _strip_end(out: list[Any]) -> None:
    while out and isinstance(out[-1], str):
        out[-1] = out[-1].rstrip(" ")
        if out[-1]:
            return
        out.pop()
    if out and isinstance(out[-1], dict) and out[-1]["t"] != "br":
        _strip_end(out[-1]["c"])
