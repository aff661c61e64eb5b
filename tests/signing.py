"""Signed files as a clerk's signing tool makes them, with a key of the tests' own."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import NameOID
from pypdf import PdfReader, PdfWriter
from pypdf.annotations import FreeText
from pypdf.generic import (
    ArrayObject,
    ByteStringObject,
    DictionaryObject,
    FloatObject,
    NameObject,
    NumberObject,
    StreamObject,
    TextStringObject,
)

SIGNER = "Ban Quản lý Mẫu"
_ROOM = 4096
_FAR = 9_999_999_999


@cache
def _identity() -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, SIGNER)])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2040, 1, 1, tzinfo=UTC))
    )
    return key, made.sign(key, hashes.SHA256())


def signed(pdf: bytes) -> bytes:
    """The file with a PAdES signature over all of its bytes; its words are unchanged."""
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf)))
    value = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Sig"),
            NameObject("/Filter"): NameObject("/Adobe.PPKLite"),
            NameObject("/SubFilter"): NameObject("/ETSI.CAdES.detached"),
            NameObject("/ByteRange"): ArrayObject([NumberObject(0), *(NumberObject(_FAR) for _ in range(3))]),
            NameObject("/Contents"): ByteStringObject(b"\0" * _ROOM),
        }
    )
    field = DictionaryObject(
        {
            NameObject("/FT"): NameObject("/Sig"),
            NameObject("/T"): TextStringObject("Signature1"),
            NameObject("/Subtype"): NameObject("/Widget"),
            NameObject("/Rect"): ArrayObject([FloatObject(0)] * 4),
            NameObject("/V"): writer._add_object(value),
        }
    )
    form = DictionaryObject(
        {NameObject("/SigFlags"): NumberObject(3), NameObject("/Fields"): ArrayObject([writer._add_object(field)])}
    )
    writer._root_object[NameObject("/AcroForm")] = writer._add_object(form)
    out = io.BytesIO()
    writer.write(out)
    return _sealed(out.getvalue())


def _sealed(data: bytes) -> bytes:
    start = data.index(b"<" + b"00" * _ROOM + b">")
    end = start + 2 * _ROOM + 2
    old = b"[ 0" + f" {_FAR}".encode() * 3 + b" ]"
    assert old in data, "the placeholder of the byte range"
    written = f"[ 0 {start} {end} {len(data) - end} ]".encode().ljust(len(old))
    data = data.replace(old, written)
    key, certificate = _identity()
    builder = pkcs7.PKCS7SignatureBuilder().set_data(data[:start] + data[end:])
    options = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary]
    seal = builder.add_signer(certificate, key, hashes.SHA256()).sign(serialization.Encoding.DER, options)
    return data[:start] + b"<" + seal.hex().encode().ljust(2 * _ROOM, b"0") + b">" + data[end:]


def saved_again(file: bytes, change: Callable[[PdfWriter], None]) -> bytes:
    """The file as a viewer saves it after a change: what there was stays byte for byte, the rest is appended."""
    writer = PdfWriter(io.BytesIO(file), incremental=True)
    change(writer)
    out = io.BytesIO()
    writer.write(out)
    assert out.getvalue().startswith(file)
    assert len(out.getvalue()) > len(file)
    return out.getvalue()


def remarked(writer: PdfWriter) -> None:
    """Somebody writes on the first page."""
    writer.add_annotation(0, FreeText(text="Đã duyệt", rect=(50, 550, 200, 650)))


def redrawn(writer: PdfWriter) -> None:
    """The first page is drawn anew, over what was there; its words stay."""
    page = writer.pages[0]
    drawn = StreamObject()
    drawn.set_data(b"0 0 595 842 re f")
    held = page[NameObject("/Contents")]
    old = list(held) if isinstance(held, ArrayObject) else [page.raw_get("/Contents")]
    page[NameObject("/Contents")] = ArrayObject([*old, writer._add_object(drawn)])


def timed(writer: PdfWriter) -> None:
    """Validation data and a document time stamp, as signing tools add them for the years to come (PAdES B-LTA)."""
    seen = StreamObject()
    seen.set_data(b"a certificate")
    certificates = ArrayObject([writer._add_object(seen)])
    writer._root_object[NameObject("/DSS")] = DictionaryObject({NameObject("/Certs"): certificates})
    value = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/DocTimeStamp"),
            NameObject("/SubFilter"): NameObject("/ETSI.RFC3161"),
            NameObject("/ByteRange"): ArrayObject([NumberObject(0)] * 4),
            NameObject("/Contents"): ByteStringObject(b"\0" * 8),
        }
    )
    field = writer._add_object(
        DictionaryObject(
            {
                NameObject("/FT"): NameObject("/Sig"),
                NameObject("/T"): TextStringObject("Timestamp1"),
                NameObject("/Subtype"): NameObject("/Widget"),
                NameObject("/Rect"): ArrayObject([FloatObject(0)] * 4),
                NameObject("/V"): writer._add_object(value),
            }
        )
    )
    form = writer._root_object[NameObject("/AcroForm")]
    assert isinstance(form, DictionaryObject)
    fields = form[NameObject("/Fields")]
    assert isinstance(fields, ArrayObject)
    fields.append(field)
    page = writer.pages[0]
    page[NameObject("/Annots")] = ArrayObject([*page.get("/Annots", ()), field])


def scanned(pages: int = 1) -> bytes:
    """A scan: pages with a grey picture and no text."""
    writer = PdfWriter()
    for _ in range(pages):
        page = writer.add_blank_page(595, 842)
        picture = StreamObject()
        picture.set_data(b"\x80")
        picture.update(
            {
                NameObject("/Type"): NameObject("/XObject"),
                NameObject("/Subtype"): NameObject("/Image"),
                NameObject("/Width"): NumberObject(1),
                NameObject("/Height"): NumberObject(1),
                NameObject("/ColorSpace"): NameObject("/DeviceGray"),
                NameObject("/BitsPerComponent"): NumberObject(8),
            }
        )
        shown = DictionaryObject({NameObject("/Im0"): writer._add_object(picture)})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/XObject"): shown})
        content = StreamObject()
        content.set_data(b"595 0 0 842 0 0 cm /Im0 Do")
        page[NameObject("/Contents")] = writer._add_object(content)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()
