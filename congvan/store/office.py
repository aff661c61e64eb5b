"""The tables behind the operators' desk: what was entered to issue a letter, and every change of the address book."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from congvan.store.tables import Table


class Entered(Table):
    """What a clerk has entered to issue a letter, while somebody still has to say yes to it; one a letter."""

    __tablename__ = "entered"
    letter_id: Mapped[str] = mapped_column(String(32), ForeignKey("letters.id"), primary_key=True)
    number: Mapped[str]
    day: Mapped[date]
    #: The signed file, as it came.
    sha256: Mapped[str | None] = mapped_column(String(64), ForeignKey("files.sha256"))
    paper_scan: Mapped[bool] = mapped_column(default=False)
    #: Where the file differs from the approved draft, as the clerk reads it.
    differences: Mapped[list[Any]]
    entered_by: Mapped[str]
    entered_at: Mapped[datetime]


class BookChange(Table):
    """One change of an organisation in the registry: who made it, when, on what paper, before and after."""

    __tablename__ = "book_changes"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    organisation: Mapped[str] = mapped_column(String(40), index=True)
    at: Mapped[datetime]
    by: Mapped[str]
    why: Mapped[str]
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any]]
