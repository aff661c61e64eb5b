"""A letter's HTML fragment (p, ul, ol, li, b, i, u, table, a, br) for mail: styled inline, or as text."""

from __future__ import annotations

import re
from functools import lru_cache
from html.parser import HTMLParser

# Outlook renders with Word: no style sheet, so every element carries its own.
_STYLES = {
    "p": "margin:0 0 12px 0;line-height:1.5;",
    "ul": "margin:0 0 12px 0;padding:0 0 0 24px;",
    "ol": "margin:0 0 12px 0;padding:0 0 0 24px;",
    "li": "margin:0 0 6px 0;line-height:1.5;",
    "table": "border-collapse:collapse;margin:0 0 12px 0;",
    "th": "border:1px solid #8a8f98;padding:6px 8px;text-align:left;vertical-align:top;",
    "td": "border:1px solid #8a8f98;padding:6px 8px;vertical-align:top;",
    "a": "color:#0b4f9c;",
}
_OPENING = re.compile(r"<(p|ul|ol|li|table|th|td|a)(?=[\s>])(?![^>]*\bstyle=)")


def styled(fragment: str) -> str:
    """The fragment with an inline style on every element that has none."""
    return _OPENING.sub(lambda found: f'<{found[1]} style="{_STYLES[found[1]]}"', fragment)


@lru_cache(maxsize=256)
def plain(fragment: str) -> str:
    """The fragment as text: paragraphs parted by an empty line, lists with their marks, links written out."""
    reader = _Reader()
    reader.feed(fragment)
    reader.close()
    text = re.sub(r"[ |]+(\n|$)", r"\1", "".join(reader.pieces))
    return re.sub(r"\n{3,}", "\n\n", text).strip()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._numbers: list[int] = []
        self._links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        match tag:
            case "p" | "table":
                self.pieces.append("\n\n")
            case "br" | "tr":
                self.pieces.append("\n")
            case "ul" | "ol":
                self.pieces.append("\n")
                self._numbers.append(0 if tag == "ol" else -1)
            case "li":
                self.pieces.append("\n" + self._mark())
            case "a":
                self._links.append(dict(attrs).get("href") or "")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("ul", "ol") and self._numbers:
            self._numbers.pop()
        if tag in ("p", "ul", "ol", "table"):
            self.pieces.append("\n\n")
        elif tag in ("td", "th"):
            self.pieces.append(" | ")
        elif tag == "a" and self._links and (link := self._links.pop()):
            self.pieces.append(f" <{link}>")

    def handle_data(self, data: str) -> None:
        # A line end of the source between two elements says nothing.
        text = re.sub(r"\s+", " ", data)
        if text != " " or (self.pieces and not self.pieces[-1].endswith(("\n", " "))):
            self.pieces.append(text.lstrip() if self.pieces and self.pieces[-1].endswith("\n") else text)

    def _mark(self) -> str:
        if not self._numbers or self._numbers[-1] < 0:
            return "- "
        self._numbers[-1] += 1
        return f"{self._numbers[-1]}. "
