"""What a PDF says beyond an earlier revision of itself: saving it anew appends to it (ISO 32000-1 7.5.6)."""

from __future__ import annotations

import io
import warnings
from typing import Any

#: Entries of the catalog that show on no page: what keeps a signature valid for years (ISO 32000-2 12.8.4.3), the
#: extensions that it names, and what viewers note of their saving.
_UNSEEN = frozenset({"/DSS", "/Extensions", "/Version", "/Metadata"})
#: Lists to which a document time stamp adds itself: the form's fields, the marks of a page.
_GROWING = frozenset({"/Fields", "/Annots"})


def is_time_stamp(held: Any) -> bool:
    """Whether what a signature field holds is a document time stamp (ISO 32000-2 12.8.5): it names no signer."""
    return bool(held.get("/Type") == "/DocTimeStamp" or held.get("/SubFilter") == "/ETSI.RFC3161")


def has_more(data: bytes, end: int) -> bool:
    """Whether the file says more than its revision that ends here: time stamps and validation data are nothing.

    Compared object by object from the catalog on, so whatever else was added or changed is found, seen or unseen.
    """
    if end >= len(data.rstrip(b"\r\n\0 ")):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return not _same(_catalog(data[:end]), _catalog(data))
    # A broken file fails in ever new ways, deep inside the reader; a part that is none is no revision.
    except Exception:
        return True


def _catalog(data: bytes) -> dict[str, Any]:
    from pypdf import PdfReader

    root: Any = PdfReader(io.BytesIO(data)).trailer["/Root"]
    return {name: value for name, value in root.get_object().items() if name not in _UNSEEN}


def _same(old: Any, new: Any) -> bool:
    from pypdf.generic import IndirectObject

    waiting, seen = [(old, new)], set()
    while waiting:
        old, new = waiting.pop()
        if isinstance(old, IndirectObject) and isinstance(new, IndirectObject):
            pair = (old.idnum, old.generation, new.idnum, new.generation)
            if pair in seen:
                continue
            seen.add(pair)
        old, new = _held(old), _held(new)
        if isinstance(old, dict) and isinstance(new, dict):
            parts = _entries(old, new)
        elif isinstance(old, list) and isinstance(new, list):
            parts = list(zip(old, new, strict=True)) if len(old) == len(new) else None
        else:
            parts = [] if old == new else None
        if parts is None:
            return False
        waiting += parts
    return True


def _entries(old: Any, new: Any) -> list[tuple[Any, Any]] | None:
    """What is to be compared in two dictionaries, or streams; None: they differ."""
    if getattr(old, "_data", None) != getattr(new, "_data", None):
        return None
    pairs: list[tuple[Any, Any]] = []
    for name in old.keys() | new.keys():
        if name in _GROWING:
            before, after = _held(old.get(name)) or [], _held(new.get(name)) or []
            if len(after) < len(before) or not all(_is_unseen_stamp(one) for one in after[len(before) :]):
                return None
            pairs += zip(before, after, strict=False)
        elif name in old and name in new:
            pairs.append((dict.__getitem__(old, name), dict.__getitem__(new, name)))
        else:
            return None
    return pairs


def _is_unseen_stamp(field: Any) -> bool:
    """A document time stamp that covers no place on a page."""
    field = _held(field)
    value = _held(field.get("/V"))
    left, bottom, right, top = (float(_held(side)) for side in _held(field.get("/Rect")) or (0, 0, 0, 0))
    flat = left == right or bottom == top
    return field.get("/FT") == "/Sig" and isinstance(value, dict) and is_time_stamp(value) and flat


def _held(value: Any) -> Any:
    return value.get_object() if hasattr(value, "get_object") else value
