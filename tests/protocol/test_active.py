"""A company's own letter can only be read: it runs nothing, starts nothing and carries nothing."""

from __future__ import annotations

import pytest

from congvan.letters.active import is_active
from tests.portal.files_sent import made_pdf, packed, with_file, with_launch, with_script

SCRIPT = b"<</S/JavaScript/JS(app.alert\\(1\\))>>"


@pytest.mark.parametrize(
    "pdf",
    [
        with_script(), with_file(), with_launch(), packed(SCRIPT), packed(SCRIPT.replace(b"/Java", b"/J#61va")),
        packed(b"<</S/GoTo/Next[<</S/Launch/F(a.exe)>>]>>"),
        # What the reader cannot open another program may.
        b"%PDF-1.7\n1 0 obj<</S/JavaScript/JS(x)>>endobj %%EOF",
    ],
    ids=["script", "file", "launch", "packed", "spelt in another way", "one after another", "broken"],
)  # fmt: skip
def test_what_does_more_than_being_read_is_found(pdf: bytes) -> None:
    assert is_active(pdf)


@pytest.mark.parametrize(
    "pdf",
    [made_pdf("Kính gửi /JavaScript /Launch"), packed(b"<</S/GoTo/D[3 0 R/Fit]>>"), b"%PDF-1.7 ours"],
    ids=["words", "a step within", "no page"],
)
def test_a_plain_letter_is_none(pdf: bytes) -> None:
    assert not is_active(pdf)
