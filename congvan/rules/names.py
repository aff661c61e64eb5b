"""Names as people look for them: without diacritics, without case, however the keyboard composed them."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache


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
