"""Files that people send us: what they are by their own bytes, and what they may be called. Pure."""

from __future__ import annotations

import io
import unicodedata
import zipfile
from dataclasses import dataclass
from pathlib import PurePosixPath

from congvan.rules.names import composed

#: A scanned letter of thirty pages.
LARGEST_BYTES = 10 * 1024 * 1024
#: A document from above with its annexes: a scanned letter of a hundred pages.
LARGEST_DOCUMENT_BYTES = 30 * 1024 * 1024
LONGEST_NAME = 120
PDF = "application/pdf"
_OFFICE = "application/vnd.openxmlformats-officedocument"
#: By the ending of the name; what opens in a reader and runs nothing.
MEDIA_TYPES = {
    ".pdf": PDF,
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".docx": f"{_OFFICE}.wordprocessingml.document",
    ".xlsx": f"{_OFFICE}.spreadsheetml.sheet",
}
#: What has to stand inside, for the two that are archives.
_PARTS = {".docx": "word/document.xml", ".xlsx": "xl/workbook.xml"}
#: How each entry of an archive's directory begins (APPNOTE.TXT, 4.3.12), and how many a document has at most: a
#: directory of many thousands in a small file keeps the reader busy for seconds.
_ENTRY, _MOST_ENTRIES = b"PK\x01\x02", 5_000
_FORBIDDEN = frozenset('<>:"/\\|?*')


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it was sent, its name cleaned."""

    name: str
    data: bytes
    #: What was found when somebody looked, as `fault_of` says it; None: nobody has.
    fault: str | None = None

    @property
    def media_type(self) -> str:
        """By the ending; "" for one that we do not take."""
        return MEDIA_TYPES.get(PurePosixPath(self.name.lower()).suffix, "")


def upload(name: str, data: bytes) -> Upload:
    """The file under a name that is safe on every disk: no folders, no controls, NFC, not too long."""
    # The ending says what it is, so a name that no disk takes loses its beginning.
    name = composed(name.replace("\\", "/").rpartition("/")[2][-3 * LONGEST_NAME :], 3 * LONGEST_NAME)
    kept = "".join(ch for ch in name if ch not in _FORBIDDEN and unicodedata.category(ch)[0] != "C").strip(". ")
    stem, dot, ending = kept.rpartition(".")
    return Upload(f"{stem[: LONGEST_NAME - len(ending)]}{dot}{ending}" if dot else kept[:LONGEST_NAME], data)


def fault_of(file: Upload, largest_bytes: int = LARGEST_BYTES) -> str:
    """What is wrong with a file: file_empty, file_too_large, file_kind (not one we take, or not what its name
    says), or "" where it may be kept; what was found before is not looked for again."""
    if file.fault is not None:
        return file.fault
    if not file.data:
        return "file_empty"
    if len(file.data) > largest_bytes:
        return "file_too_large"
    return "" if file.media_type and _is_what_it_says(file) else "file_kind"


def _is_what_it_says(file: Upload) -> bool:
    data, ending = file.data, PurePosixPath(file.name.lower()).suffix
    if ending == ".pdf":
        # ISO 32000-1, 7.5.2 and 7.5.5
        return data[:5] == b"%PDF-" and b"%%EOF" in data[-2048:]
    if ending in (".jpg", ".jpeg"):
        return data[:3] == b"\xff\xd8\xff"
    if ending == ".png":
        return data[:8] == b"\x89PNG\r\n\x1a\n"
    return _is_office(data, _PARTS[ending])


def _is_office(data: bytes, part: str) -> bool:
    """An archive with the part that makes it one, and without macros. Nothing in it is unpacked."""
    if data.count(_ENTRY) > _MOST_ENTRIES:
        return False
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return False
    return part in names and not any(name.endswith("vbaProject.bin") for name in names)
