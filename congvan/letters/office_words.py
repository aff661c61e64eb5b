"""The words of a DOCX or XLSX file, as far as they can be read without trusting it."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from html import unescape

#: Where the words stand: the text itself and what is printed above and below it; the cells of all sheets.
_PARTS = re.compile(r"word/(?:document|header\d*|footer\d*)\.xml|xl/sharedStrings\.xml")
_MOST_PARTS, _MOST_BYTES = 40, 4 * 1024 * 1024
_LINE = re.compile(r"</(?:w:p|si)>|<w:br[ />]")
_TAG = re.compile(r"<[^<>]*>")


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
    return unescape(_TAG.sub("", _LINE.sub("\n", text)))
