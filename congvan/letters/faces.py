"""What the typefaces of a page can show: the shipped one has Vietnamese and the rest of Latin; Typst's own, which stand
behind it, have Greek, Cyrillic, mathematics, boxes and ticks. Nobody's has the scripts below."""

from __future__ import annotations

import re
from typing import Any

#: From Armenian to the scripts of Asia, and whatever is wider than a letter of theirs: Han, Hangul, Kana, pictures.
_NO_FACE = re.compile("[\u0530-\u1cff\u2e80-\ufafe\ufb07-\ufdff\ufe10-\ufefe\uff00-\ufffc\U00010000-\U0010ffff]+")
#: Stands where a signed page would have empty boxes; the database and the mails have the words as they were written.
UNSHOWN = "[chữ không in được]"


def unshown(text: str) -> str:
    """The letters of this text that no page can show, each once."""
    return "".join(dict.fromkeys("".join(_NO_FACE.findall(text))))


def shown(value: Any) -> Any:
    """The same words with a remark in place of what no page can show; lists and mappings of words, too."""
    if isinstance(value, str):
        return _NO_FACE.sub(UNSHOWN, value)
    if isinstance(value, list | tuple):
        return [shown(one) for one in value]
    if isinstance(value, dict):
        return {key: shown(one) for key, one in value.items()}
    return value
