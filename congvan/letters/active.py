"""What a PDF may do beside being read: scripts, programs, files inside it. Reads, judges nothing."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pypdf import PdfReader

#: ISO 32000-1: 12.6.4.16 (scripts), 12.6.4.5 (programs), 7.11.4 (embedded files).
_KEYS = frozenset({"/JavaScript", "/EmbeddedFiles", "/EF"})
_KINDS = frozenset({"/JavaScript", "/Launch", "/EmbeddedFile"})
#: The long names alone: three letters turn up in any picture.
_NAMES = re.compile(rb"/(?:JavaScript|Launch|EmbeddedFiles?)(?![A-Za-z0-9])")


def is_active(data: bytes) -> bool:
    """True where the file holds a script, starts a program, or has files inside.

    Every object is looked at as the reader opens it: many stand packed in streams, and a name may be spelt in
    more than one way. Where the reader trips, what stands in plain bytes counts as well.
    """
    from pypdf import PdfReader

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader = PdfReader(io.BytesIO(data))
            if reader.is_encrypted:
                # What is only protected from changes opens without a password.
                reader.decrypt("")
            objects = list(_objects(reader, data))
    except Exception:
        # A broken file fails in ever new ways, deep inside the reader.
        objects = [None]
    return any(_acts(one) for one in objects) or (None in objects and _NAMES.search(data) is not None)


def _objects(reader: PdfReader, data: bytes) -> Iterator[Any]:
    """Every object of the file; None for one that cannot be read."""
    from pypdf.generic import IndirectObject

    yield reader.trailer
    known = [(number, generation) for generation, found in reader.xref.items() for number in found]
    for number, generation in [*known, *((number, 0) for number in reader.xref_objStm)]:
        if reader.xref_free_entry.get(generation, {}).get(number):
            continue
        start = reader.xref.get(generation, {}).get(number)
        # The reader would search the whole file for each object that does not stand where the table says.
        if start is not None and not re.match(rb"\s*%d\s+%d\s+obj" % (number, generation), data[start : start + 40]):
            yield None
            continue
        try:
            yield reader.get_object(IndirectObject(number, generation, reader))
        except Exception:
            yield None


def _acts(value: Any) -> bool:
    """Whether an object, or one that stands in it, is such an act; what it refers to is looked at by itself."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            # Read as plain dictionaries and lists: the reader's own would follow references, in circles.
            held = dict(dict.items(one))
            kinds = {str(held.get("/S")), str(held.get("/Type"))}
            if _KEYS & held.keys() or _KINDS & kinds or ("/JS" in held and "/S" in held):
                return True
            waiting += held.values()
        elif isinstance(one, list):
            waiting += list.__iter__(one)
    return False
