"""Files as people send them: a PDF or DOCX that says something, and what else a PDF may hold."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable
from functools import cache

import typst
from pypdf import PdfWriter
from pypdf.generic import DictionaryObject, NameObject, TextStringObject


@cache
def made_pdf(words: str) -> bytes:
    """A page that says this."""
    pdf = typst.compile(words.encode())
    assert isinstance(pdf, bytes)
    return pdf


def made_docx(words: str) -> bytes:
    """A document that says this, as bare as it can be."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        letters = "".join(f"<w:r><w:t>{letter}</w:t></w:r>" for letter in words)
        archive.writestr("word/document.xml", f"<w:document><w:p>{letters}</w:p><w:p/></w:document>")
    return buffer.getvalue()


def marked_secret(name: str) -> bytes:
    """A file of the kind that its name says, marked as classified."""
    return made_docx("MẬT") if name.endswith(".docx") else made_pdf("MẬT")


def protected(pdf: bytes) -> bytes:
    """The same, protected from changes: it opens without a password."""
    writer = PdfWriter(clone_from=io.BytesIO(pdf))
    writer.encrypt("", owner_password="chủ")
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def with_script() -> bytes:
    """A page that runs a script when it is opened."""
    return _opening("/JavaScript", "/JS", "app.alert(1)")


def with_file() -> bytes:
    """A page with a program inside."""
    return _more(lambda writer: writer.add_attachment("a.exe", b"MZ"))


def with_launch() -> bytes:
    """A page that starts a program when it is opened."""
    return _opening("/Launch", "/F", "a.exe")


def _opening(kind: str, key: str, value: str) -> bytes:
    action = DictionaryObject({NameObject("/S"): NameObject(kind), NameObject(key): TextStringObject(value)})
    return _more(lambda writer: writer.root_object.update({NameObject("/OpenAction"): action}))


def _more(change: Callable[[PdfWriter], object]) -> bytes:
    writer = PdfWriter(clone_from=io.BytesIO(made_pdf("Thông báo")))
    change(writer)
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def packed(action: bytes) -> bytes:
    """A page whose opening action stands in a compressed stream of objects (ISO 32000-1, 7.5.7)."""
    objects = [
        b"<</Type/Catalog/Pages 2 0 R/OpenAction 4 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>", action,
    ]  # fmt: skip
    head, body = b"", b""
    for number, one in enumerate(objects, 1):
        head += b"%d %d " % (number, len(body))
        body += one + b" "
    data = zlib.compress(head + body)
    made = b"%PDF-1.7\n"
    at = len(made)
    made += b"5 0 obj<</Type/ObjStm/N 4/First %d/Filter/FlateDecode/Length %d>>stream\n" % (len(head), len(data))
    made += data + b"\nendstream endobj\n"
    table = bytes([0, 0, 0, 255]) + b"".join(bytes([2, 0, 5, index]) for index in range(4))
    end = len(made)
    table += bytes([1, *at.to_bytes(2, "big"), 0]) + bytes([1, *end.to_bytes(2, "big"), 0])
    made += b"6 0 obj<</Type/XRef/Size 7/W[1 2 1]/Root 1 0 R/Length %d>>stream\n" % len(table) + table
    return made + b"\nendstream endobj\nstartxref\n%d\n%%%%EOF\n" % end
