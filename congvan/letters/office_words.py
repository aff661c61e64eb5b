"""The words of a DOCX or XLSX file, as far as they can be read without trusting it."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from html import unescape

#: Where the words stand: the text itself and what is printed above and below it; the cells of all sheets, which share
#: their words or hold them, and what is drawn over them.
_PARTS = re.compile(
    r"word/(?:document|header\d*|footer\d*)\.xml|xl/(?:sharedStrings|worksheets/[^/]+|drawings/drawing\d*)\.xml"
)
_MOST_PARTS, _MOST_BYTES = 40, 4 * 1024 * 1024
_LINE = re.compile(r"</(?:\w+:)?(?:p|si|c|(?:odd|even|first)(?:Header|Footer))>|<(?:\w+:)?(?:br|cr)[ />]")
_TAB = re.compile(r"<(?:\w+:)?tab ?/>")
_TAG = re.compile(r"<[^<>]*>")
#: How the header of a sheet says which part, typeface, colour and size what follows has (ECMA-376 Part 1, 18.3.1.39).
_MARGIN = re.compile(r"(<(?:\w+:)?(?:odd|even|first)(?:Header|Footer)\b[^>]*>)([^<]*)")
_CODE = re.compile(r"&amp;(?:&quot;.*?&quot;|\"[^\"]*\"|K[0-9A-F]{6}|K\d\d[+-]\d{3}|\d+|[A-Z])")


def words(data: bytes) -> str:
    """The words, a line for each paragraph or cell; "" for what cannot be opened.

    No more than a few megabytes of each part are unpacked: a small archive may hold a very large one.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = [name for name in archive.namelist() if _PARTS.fullmatch(name)][:_MOST_PARTS]
            return "\n".join(_plain(archive, name) for name in parts)
    except (zipfile.BadZipFile, zlib.error, ValueError, NotImplementedError, RuntimeError, EOFError, OSError):
        return ""


def _plain(archive: zipfile.ZipFile, name: str) -> str:
    with archive.open(name) as part:
        text = part.read(_MOST_BYTES).decode("utf-8", "replace")
    text = _MARGIN.sub(lambda found: found[1] + _CODE.sub("\n", found[2]), text)
    return unescape(_TAG.sub("", _TAB.sub(" ", _LINE.sub("\n", text))))
