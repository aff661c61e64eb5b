"""The files of the documents from above, as they lie beside a plan: found by name, fit to be enclosed to everybody."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path

from congvan.check_ground import Ground
from congvan.errors import Fault
from congvan.rules import uploads
from congvan.rules.uploads import LARGEST_DOCUMENT_BYTES, MEDIA_TYPES, Upload

_WRONG = {
    "file_empty": ("rỗng", "chép lại tệp"),
    "file_too_large": (f"lớn hơn {LARGEST_DOCUMENT_BYTES // 1024 // 1024} MB", "quét hoặc xuất lại tệp cho nhỏ hơn"),
    "file_kind": (
        "không thuộc loại được gửi, hoặc nội dung không đúng với tên",
        f"xuất lại thành một trong các loại: {', '.join(MEDIA_TYPES)}",
    ),
}


def at_hand(folder: Path, name: str) -> Path | None:
    """The file of this name below a folder, however its letters are composed on the disk; None: there is none, or it
    lies elsewhere.

    A plan is read in NFC, and some systems write their names in NFD. Raise OSError or ValueError for a name that no
    disk takes.
    """
    place = folder
    for part in Path(name).parts:
        place = place / part if (place / part).exists() else _composed_alike(place, part)
    return place if place.is_file() and _below(folder, place) else None


def _below(folder: Path, place: Path) -> bool:
    return place.resolve().is_relative_to(folder.resolve())


def _composed_alike(folder: Path, part: str) -> Path:
    wanted = unicodedata.normalize("NFC", part)
    names = sorted(one.name for one in folder.iterdir()) if folder.is_dir() else []
    return folder / next((one for one in names if unicodedata.normalize("NFC", one) == wanted), part)


def faults(ground: Ground, field: str, folder: Path, name: str, *, missing: bool) -> Iterator[Fault]:
    """What keeps this file from being enclosed. missing: it may be."""
    try:
        yield from _faults(ground, field, folder, name, missing=missing)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "tên tệp không dùng được"
        yield ground.fault(field, f"không đọc được tệp «{name[:60]}» ({why})", "kiểm tra tên tệp và quyền đọc")


def _faults(ground: Ground, field: str, folder: Path, name: str, *, missing: bool) -> Iterator[Fault]:
    if not _below(folder, folder / name):
        yield ground.fault(
            field,
            f"tệp «{name}» nằm ngoài thư mục của kế hoạch",
            "chép tệp vào cạnh kế hoạch, ghi đường dẫn tương đối",
        )
        return
    path = at_hand(folder, name)
    if path is None:
        if not missing:
            remedy = "chép tệp vào cạnh kế hoạch; chỉ diễn tập mới được thiếu"
            yield ground.fault(field, f"không có tệp «{name}»", remedy)
        return
    large = path.stat().st_size > LARGEST_DOCUMENT_BYTES  # not even read
    wrong = "file_too_large" if large else uploads.fault_of(Upload(name, path.read_bytes()), LARGEST_DOCUMENT_BYTES)
    if wrong:
        message, remedy = _WRONG[wrong]
        yield ground.fault(field, f"tệp «{name}» {message}", remedy)
