"""Titles and names as they stand in running text (NĐ 30/2020/NĐ-CP, Phụ lục II)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from congvan.letters.lint_words import CAPITALISED

#: What keeps its capitals inside a title.
_CAPITALS = ("Tổng Giám đốc", "Giám đốc", "Văn phòng", "Ủy ban", "Hội đồng", "Chủ tịch")
#: A Vietnamese syllable without its marks; a word that is none ("UBND", "HĐQT") is an abbreviation.
_SYLLABLE = re.compile(
    r"(?:b|ch?|d|đ|gh?|gi|h|kh?|l|m|ngh?|nh?|ph?|qu|r|s|th?|tr|v|x)?[aeiouy]+(?:c|ch|m|n|ng|nh|p|t)?", re.IGNORECASE
)


def spoken(title: str, names: Sequence[str] = ()) -> str:
    """A title from a block of signature inside a sentence: "PHÓ TRƯỞNG BAN" → "Phó Trưởng ban".

    One that is not all capitals stays as it was written. names: of offices and places that it may hold.
    """
    if title != title.upper():
        return title
    written = re.sub(r"\w+", lambda word: word[0].lower() if _is_syllable(word[0]) else word[0], title)
    written = written.replace("uỷ ban", "ủy ban")
    # The longer name first: "Tổng Giám đốc" holds "Giám đốc".
    for phrase in sorted({*_CAPITALS, *CAPITALISED, *filter(None, names)}, key=lambda name: -len(name)):
        written = written.replace(phrase.lower(), phrase)
    written = re.sub(r"\bsở \w", lambda found: found[0].title(), written)
    written = re.sub(r"\bphó \w", lambda found: found[0][:-1] + found[0][-1].upper(), written)
    return written[:1].upper() + written[1:]


def _is_syllable(word: str) -> bool:
    bare = unicodedata.normalize("NFD", word.lower())
    return _SYLLABLE.fullmatch("".join(one for one in bare if not unicodedata.combining(one))) is not None
