"""Texts as people type them, and names as they look for them: however the keyboard composed them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

#: Combining marks on one letter (UAX #15, section 13, "stream-safe"): Vietnamese needs two.
_MOST_MARKS = 30

#: Controls but tabs and line ends, halves of a character, what stands for one that was lost, and what turns the order
#: of reading, so that a name looks like another one (UAX #9).
_ILLEGIBLE = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffd\u202a-\u202e\u2066-\u2069]"
)
#: What a text carries and nobody sees: soft hyphens, zero-width blanks, the byte order mark.
_UNSEEN = re.compile("[\u00ad\u200b\u200c\u200d\u2060\ufeff]")


def illegible(text: str) -> str:
    """The first character, as "U+0000", that nobody can read and some database or mail cannot carry; else empty."""
    found = _ILLEGIBLE.search(text)
    return f"U+{ord(found[0]):04X}" if found else ""


def without_illegible(text: str) -> str:
    """The text without such characters."""
    return _ILLEGIBLE.sub("", text)


def without_unseen(text: str) -> str:
    """The text without marks that nobody sees: copied from a page into a name, they would make it another one."""
    return text if text.isascii() else _UNSEEN.sub("", text)


def composed(text: str, longest: int) -> str:
    """The text in NFC, cut where no more than the longest could be left of it.

    Putting marks in order takes time by the square of their number: without an end to them, a field of some
    kilobytes holds up everybody else for seconds.
    """
    # A letter with two marks, or the two ends of a line, are one character afterwards; one more is to be seen.
    cut = text[: 3 * (longest + 1)].replace("\r\n", "\n")
    return cut if cut.isascii() else unicodedata.normalize("NFC", "".join(_few_marks(cut)))


def _few_marks(text: str) -> Iterator[str]:
    marks = 0
    for letter in text:
        marks = marks + 1 if unicodedata.combining(letter) else 0
        if marks <= _MOST_MARKS:
            yield letter


def one_line(text: str) -> str:
    """The text with single blanks: a line break that Alt+Enter put into a cell is no part of a name."""
    return " ".join(text.split())


# A sheet's headings are asked about for every kind of table and every delimiter that it might have.
@lru_cache(maxsize=1024)
def fold(text: str) -> str:
    """Letters and digits only, without diacritics, lower case, single blanks: "MÃ số" → "ma so"."""
    bare = unicodedata.normalize("NFD", text.replace("đ", "d").replace("Đ", "D"))
    kept = bare if bare.isascii() else "".join(letter for letter in bare if not unicodedata.combining(letter))
    return " ".join(re.findall(r"[a-z0-9]+", kept.lower()))
