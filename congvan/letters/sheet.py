"""Everything that one letter says, before it is laid out."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from congvan.letters.numbering import code
from congvan.rules.records import Code, Line, Person, Record, Text, Urgency, nfc

#: A line that the words template supplies where the sheet leaves it empty.
Optional = Annotated[str, BeforeValidator(nfc), Field(max_length=500)]


#: Goes into the page's own language, so nothing but a size gets through.
Track = Annotated[str, Field(pattern=r"^(?:auto|\d{1,3}(?:\.\d{1,2})?(?:fr|mm|pt|%))$")]


class Appendix(Record):
    """One Phụ lục: a table on pages of its own, numbered from 1 again.

    widths: Typst track sizes ("auto", "12mm", "2fr"), one for each column; empty: all alike.
    note: a line under the table. landscape: only for wide tables (Phụ lục I, mục I.2).
    """

    title: Line
    columns: tuple[Line, ...] = Field(min_length=1)
    rows: tuple[tuple[Text, ...], ...] = ()
    widths: tuple[Track, ...] = ()
    note: Text = ""
    landscape: bool = False

    @model_validator(mode="after")
    def rows_fit(self) -> Self:
        """Every row has as many cells as there are columns."""
        count = len(self.columns)
        if any(len(row) != count for row in self.rows) or len(self.widths) not in (0, count):
            raise ValueError(f"appendix «{self.title}»: every row and the widths need {count} cells")
        return self


class Sheet(Record):
    """One letter. Rendering takes nothing else, so equal sheets give equal bytes.

    template      stem of the words template ("board", "investor", "slip"…).
    symbol        notation ("VP-TH") or pattern ("{number}/VP-TH"); empty: the letter bears no number.
    issued_on     None, like an empty number, leaves the blanks of a draft.
    subject, addressees, distribution
                  where they are empty the words template's own head supplies them.
    context       names that the words template uses; its head comment lists them. Plain values: text,
                  numbers, dates, aware datetimes, lists and mappings of these.
    images        SVG drawings that the words show with <img src="name" alt="…">.
    """

    template: Code
    issuer: Line
    parent_authority: Text = ""
    issuer_name_en: Text = ""
    issuer_address: Text = ""
    issuer_phone: Text = ""
    issuer_tax_code: Text = ""
    abbreviation: Text = ""
    number: Text = ""
    symbol: Text = ""
    place: Text = ""
    issued_on: date | None = None
    subject: Optional = ""
    addressees: tuple[Line, ...] = ()
    distribution: tuple[Line, ...] = ()
    context: dict[str, Any] = Field(default_factory=dict)
    signer: Person | None = None
    urgency: Urgency = Urgency.NORMAL
    internal: bool = False
    illustration: bool = False
    #: Ký hiệu người soạn thảo và số bản: "PL.(300)".
    drafter: Text = ""
    footer: Text = ""
    #: Ô số 14: what an electronic copy or a separate file of an attachment says in the corner of page 1.
    corner: tuple[Line, ...] = ()
    appendices: tuple[Appendix, ...] = ()
    images: dict[str, str] = Field(default_factory=dict)

    @property
    def code(self) -> str:
        """Số và ký hiệu, with "…" for a number that is not given yet; "" for a letter without symbol."""
        return code(self.number, self.symbol, abbreviation=self.abbreviation) if self.symbol else ""
