"""Names as people look for them: without diacritics, without case, however the keyboard composed them."""

from __future__ import annotations

import re
import unicodedata


def fold(text: str) -> str:
    """Letters and digits only, without diacritics, lower case, single blanks: "MÃ số" → "ma so"."""
    bare = unicodedata.normalize("NFD", text.replace("đ", "d").replace("Đ", "D"))
    kept = "".join(letter for letter in bare if not unicodedata.combining(letter))
    return " ".join(re.findall(r"[a-z0-9]+", kept.lower()))
