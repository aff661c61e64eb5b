"""A signed file as it came back: its words by page, its digital signatures. Reads, judges nothing."""

from __future__ import annotations

import hashlib
import io
import logging
import unicodedata
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from congvan.errors import BadInput, CongvanError, Fault
from congvan.letters.revisions import is_time_stamp
from congvan.rules.names import without_unseen

# The readers are loaded where they are used: each woken hop is a process of its own and reads no signed file.
if TYPE_CHECKING:
    from pypdf import PdfReader

#: A letter has a few pages, with its appendices some dozens; what is longer is not a letter.
MOST_PAGES = 500
_HASHES = ("sha256", "sha384", "sha512", "sha1")

logging.getLogger("pypdf").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True)
class Signature:
    """One digital signature. signer: the names in its certificates, "" where they cannot be read.

    whole: the bytes that it covers are those that were signed (their digest stands in the signature).
    end: where in the file these bytes end; a later signature may follow.
    """

    signer: str
    whole: bool
    end: int


@dataclass(frozen=True, slots=True)
class Upload:
    """What a signed file says. pages: the text of each page, NFC. stamps: the text that signatures show."""

    pages: tuple[str, ...]
    stamps: str
    signatures: tuple[Signature, ...]

    @property
    def text(self) -> str:
        """All that it says."""
        return "\n".join((*self.pages, self.stamps))

    @property
    def is_image(self) -> bool:
        """True for a scan without a layer of text."""
        return not any(page.strip() for page in self.pages)


def read(data: bytes, name: str = "tệp đã ký", *, protected: bool = False) -> Upload:
    """The file's words and signatures; raise BadInput for what is no PDF that can be opened.

    protected: one that is only protected from changes is read, too; it opens without a password.
    """
    from pypdf import PdfReader

    try:
        # What a damaged file makes the reader complain of is no concern of the clerk's.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader = PdfReader(io.BytesIO(data))
            if reader.is_encrypted and not (protected and reader.decrypt("")):
                raise _refuse(name, "tệp PDF đặt mật khẩu", "bỏ mật khẩu rồi xuất lại tệp")
            if not 0 < len(reader.pages) <= MOST_PAGES:
                raise _refuse(name, f"tệp có {len(reader.pages)} trang", "kiểm tra lại đã chọn đúng tệp")
            pages = tuple(_clean(page.extract_text()) for page in reader.pages)
            stamps = _clean("\n".join(_stamps(reader)))
            return Upload(pages, stamps, tuple(_signatures(reader, data)))
    except CongvanError:
        raise
    except Exception as error:
        # A broken file fails in ever new ways, deep inside the reader: filters, decoders, loops.
        raise _refuse(name, "không đọc được tệp PDF", "xuất hoặc quét lại văn bản đã ký thành PDF") from error


def _refuse(name: str, message: str, remedy: str) -> BadInput:
    return BadInput([Fault(name, "", message, remedy)])


def _clean(text: str) -> str:
    return unicodedata.normalize("NFC", without_unseen(text).replace("\u00a0", " "))


def _stamps(reader: PdfReader) -> Iterator[str]:
    """What the appearances of signature fields print: many signing tools write number and date there."""
    for page in reader.pages:
        marks: Any = page.get("/Annots")
        for mark in (marks.get_object() if marks is not None else None) or ():
            looks: Any = mark.get_object().get("/AP")
            drawn = looks.get_object().get("/N") if looks is not None else None
            form = drawn.get_object() if drawn is not None else None
            if form is not None and form.get("/Subtype") == "/Form":
                yield str(page.extract_xform_text(form))


def _signatures(reader: PdfReader, data: bytes) -> Iterator[Signature]:
    root: Any = reader.trailer["/Root"]
    form = root.get_object().get("/AcroForm")
    for field in _fields((form.get_object().get("/Fields") if form is not None else None) or ()):
        value = field.get("/V")
        held = value.get_object() if value is not None else None
        if field.get("/FT") == "/Sig" and held is not None and "/ByteRange" in held and not is_time_stamp(held):
            yield _signature(held, data)


def _fields(fields: Any) -> Iterator[Any]:
    for one in fields:
        field = one.get_object()
        yield field
        # Kids without a type of their own are the field's places on the pages, not fields.
        yield from (kid for kid in _fields(field.get("/Kids") or ()) if "/FT" in kid)


def _signature(held: Any, data: bytes) -> Signature:
    first, length, second, rest = (int(part) for part in held["/ByteRange"])
    seal = bytes(held["/Contents"].original_bytes)
    covered = data[first : first + length] + data[second : second + rest]
    # ISO 32000-1 12.8.3.3: the signature holds the digest of the covered bytes as its messageDigest.
    whole = first == 0 and 0 < length <= second and any(_digest(name, covered) in seal for name in _HASHES)
    return Signature(_signer(seal), whole, second + rest)


def _digest(name: str, data: bytes) -> bytes:
    made = hashlib.new(name, data, usedforsecurity=False).digest()
    return b"\x04" + bytes([len(made)]) + made


def _signer(seal: bytes) -> str:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization.pkcs7 import load_der_pkcs7_certificates
    from cryptography.x509.oid import NameOID

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            certificates = load_der_pkcs7_certificates(seal.rstrip(b"\0"))
    except (ValueError, UnsupportedAlgorithm):
        return ""
    # An authority's certificate that comes along names itself as a certificate authority.
    named = [name for one in certificates for name in one.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return str(named[0].value) if named else ""
