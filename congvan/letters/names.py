"""Titles and names as they stand in running text (NĐ 30/2020/NĐ-CP, Phụ lục II)."""

from __future__ import annotations

import re

#: What keeps its capitals inside a title; the longer phrase first.
_CAPITALS = ("Tổng Giám đốc", "Giám đốc", "Văn phòng", "Ủy ban", "Hội đồng")


def spoken(title: str) -> str:
    """A title from a block of signature inside a sentence: "PHÓ TRƯỞNG BAN" → "Phó Trưởng ban".

    One that is not all capitals stays as it was written.
    """
    if title != title.upper():
        return title
    written = title.lower()
    for phrase in _CAPITALS:
        written = written.replace(phrase.lower(), phrase)
    written = re.sub(r"\bphó \w", lambda found: found[0][:-1] + found[0][-1].upper(), written)
    return written[:1].upper() + written[1:]
