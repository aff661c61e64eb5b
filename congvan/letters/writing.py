"""A letter's tree as clean HTML (mail, portal) and as plain text (mail, comparison)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape
from typing import Any

from congvan.letters.fragment import Node, Tree, WordsRefused
from congvan.letters.numbering import point


def html(tree: Tree, images: Mapping[str, str] | None = None) -> str:
    """HTML of this tree: only the vocabulary, everything escaped, drawings as data addresses.

    Raise WordsRefused for a drawing that is not there.
    """
    return "\n".join(_html(node, images or {}) for node in tree)


def _html(node: Any, images: Mapping[str, str]) -> str:
    if isinstance(node, str):
        return escape(node, quote=False)
    tag = node["t"]
    if tag in {"br", "hr"}:
        return f"<{tag}>"
    if tag == "img":
        return _image(node, images)
    if tag == "ol" and node.get("type") == "a":
        # Browsers count a, b, c, d, e; Vietnamese has đ between them, so the points are written out.
        return "\n".join(_point(at, item, images) for at, item in _numbered(node))
    return f"<{tag}{_attributes(node)}>{_columns(node)}{_inner(node, images)}</{tag}>"


def _point(at: int, item: Node, images: Mapping[str, str]) -> str:
    """A point: its letter stands in its first paragraph, and what follows within it behind."""
    first, rest = (item["c"][0]["c"], item["c"][1:]) if item["c"] and item["c"][0]["t"] == "p" else ([], item["c"])
    lead = f"<p>{point(at)}) {''.join(_html(child, images) for child in first)}".rstrip() + "</p>"
    return "\n".join([lead, *(_html(child, images) for child in rest)])


def _inner(node: Node, images: Mapping[str, str]) -> str:
    """The children's HTML; the only paragraph of an item or a cell stands without <p>."""
    children = node["c"]
    if node["t"] in {"li", "th", "td"} and len(children) == 1 and children[0]["t"] == "p":
        children = children[0]["c"]
    return "".join(_html(child, images) for child in children)


def _attributes(node: Node) -> str:
    kept = {name: value for name, value in node.items() if isinstance(value, str) and name != "t"}
    return "".join(f' {name}="{escape(value)}"' for name, value in kept.items())


def _columns(node: Node) -> str:
    widths = node.get("widths") or []
    columns = "".join(f'<col width="{width}">' if width else "<col>" for width in widths)
    return f"<colgroup>{columns}</colgroup>" if columns else ""


def _image(node: Node, images: Mapping[str, str]) -> str:
    if node.get("src") not in images:
        raise WordsRefused(f"không có hình «{node.get('src', '')}»")
    data = base64.b64encode(images[node["src"]].encode()).decode("ascii")
    return f'<img src="data:image/svg+xml;base64,{data}" alt="{escape(node.get("alt", ""))}">'


def _numbered(node: Node) -> list[tuple[int, Node]]:
    first = int(node.get("start", "1")) - 1
    return list(enumerate(node["c"], first))


def plain(tree: Tree) -> str:
    """The words alone, a blank line between paragraphs."""
    return "\n\n".join(text for node in tree if (text := _plain(node)))


def _plain(node: Any) -> str:
    if isinstance(node, str):
        return node
    tag = node["t"]
    if tag == "br":
        return "\n"
    if tag == "hr":
        return "…" * 20
    if tag == "img":
        return str(node.get("alt", ""))
    if tag == "ul":
        return "\n\n".join(f"- {plain(item['c'])}" for item in node["c"])
    if tag == "ol":
        return "\n\n".join(f"{_mark(node, at)} {plain(item['c'])}" for at, item in _numbered(node))
    if tag == "table":
        return "\n".join(" | ".join(plain(cell["c"]) for cell in row["c"]) for row in node["c"])
    return "".join(_plain(child) for child in node["c"])


def _mark(node: Node, at: int) -> str:
    return f"{point(at)})" if node.get("type") == "a" else f"{at + 1}."
