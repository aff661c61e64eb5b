"""The words of every e-mail: three templates a stem (subject, text, HTML), filled from one frozen record.

All that people read stands in `templates/emails/`; what a stem may use stands in `contexts.py`.
StrictUndefined: no letter leaves with a hole in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, AnyStr

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from congvan.mail.contexts import (
    STEMS,
    Asked,
    BypassMail,
    Context,
    CopyMail,
    DigestCampaign,
    DigestGroup,
    DigestMail,
    DigestRow,
    ExtensionMail,
    Figures,
    File,
    Head,
    IssueWantedMail,
    LetterMail,
    OverdueMail,
    ReceiptMail,
    ReminderMail,
    ReportMail,
    SlipMail,
    WaitingLetter,
)
from congvan.mail.fragment import plain, styled
from congvan.mail.message import ready

__all__ = [
    "STEMS",
    "Asked",
    "BypassMail",
    "Context",
    "CopyMail",
    "DigestCampaign",
    "DigestGroup",
    "DigestMail",
    "DigestRow",
    "ExtensionMail",
    "Figures",
    "File",
    "Head",
    "IssueWantedMail",
    "LetterMail",
    "Mail",
    "Mould",
    "OverdueMail",
    "ReceiptMail",
    "ReminderMail",
    "ReportMail",
    "SlipMail",
    "WaitingLetter",
    "Words",
]


@dataclass(frozen=True, slots=True)
class Mail:
    """The words of one message. `subject` is one line.

    octets: text and page as `message.ready` makes them, where a mould has prepared them.
    """

    subject: str
    text: str
    html: str
    octets: tuple[bytes, bytes] | None = field(default=None, compare=False, repr=False)


class Words:
    """The templates of one folder; compiled once, safe to share."""

    def __init__(self, templates: Path) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(templates / "emails"),
            undefined=StrictUndefined,
            autoescape=lambda name: name is not None and name.endswith(".html"),
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(plain=plain, styled=_styled, vv=vv, first_up=first_up)

    def render(self, context: Context) -> Mail:
        """The mail of a context; its class says which stem.

        Raises jinja2.UndefinedError where a template asks for what the context does not have.
        """
        stem, values = STEMS[type(context)], _values(context)
        return Mail(
            subject=" ".join(self._template(f"{stem}.subject").render(values).split()),
            text=_tidied(self._template(f"{stem}.txt").render(values)),
            html=self._template(f"{stem}.html").render(values).strip() + "\n",
        )

    def mould(self, context: Context, varying: tuple[str, ...]) -> Mould:
        """The mail of a context with some of its text fields left open, to be filled per recipient.

        For a hop of thousands: the templates run once, each recipient costs a few replacements. The open
        fields may only be printed by the template, never tested or changed; `tests` hold that.
        """
        marks: dict[str, Any] = {name: f"\ue000{number}\ue001" for number, name in enumerate(varying)}
        return Mould(self.render(replace(context, **marks)), tuple(marks.items()))

    def _template(self, name: str) -> Template:
        return self._environment.get_template(name)


@dataclass(frozen=True)
class Mould:
    """A mail with open places."""

    mail: Mail
    marks: tuple[tuple[str, str], ...]

    @cached_property
    def _pieces(self) -> tuple[list[str], list[str], list[str]]:
        """Subject, text and page, cut at the open places: every second piece is a mark."""
        marks = "|".join(re.escape(mark) for _, mark in self.marks)
        cut = re.compile(f"({marks})") if marks else re.compile(r"(?!)")
        return cut.split(self.mail.subject), cut.split(self.mail.text), cut.split(self.mail.html)

    @cached_property
    def _octets(self) -> tuple[list[bytes], list[bytes]]:
        """Text and page in the form in which they travel, cut alike; marks stay marks."""
        _, text, page = self._pieces
        return _ready_pieces(text), _ready_pieces(page)

    def fill(self, values: dict[str, str]) -> Mail:
        """The mail of one recipient; raise KeyError for an open place that `values` leaves open."""
        plain = {mark: values[name] for name, mark in self.marks}
        escaped = {mark: str(escape(value)) for mark, value in plain.items()}
        subject, text, page = self._pieces
        text_octets, page_octets = self._octets
        return Mail(
            " ".join(_filled(subject, plain).split()),
            _filled(text, plain),
            _filled(page, escaped),
            (_filled(text_octets, _ready_values(plain)), _filled(page_octets, _ready_values(escaped))),
        )


def _ready_pieces(pieces: list[str]) -> list[bytes]:
    # The line end that `ready` puts at the end belongs behind the last piece only.
    return [ready(piece)[:-2] for piece in pieces[:-1]] + [ready(pieces[-1])]


def _ready_values(values: dict[str, str]) -> dict[bytes, bytes]:
    return {mark.encode(): ready(value)[:-2] for mark, value in values.items()}


def _filled(pieces: list[AnyStr], values: dict[AnyStr, AnyStr]) -> AnyStr:
    return pieces[0][:0].join([values.get(piece, piece) for piece in pieces])


def _values(context: Context) -> dict[str, Any]:
    return {one.name: getattr(context, one.name) for one in fields(context)}


@lru_cache(maxsize=256)
def _styled(fragment: str) -> Markup:
    """A letter's fragment for HTML mail. It comes from our own templates, where it was escaped already."""
    return Markup(styled(fragment))


def _tidied(text: str) -> str:
    """What templates leave behind: one empty line between paragraphs, no blanks before a line end.

    The blank of the signature mark `-- ` (RFC 3676 section 4.3) stays.
    """
    lines = [line if line == "-- " else line.rstrip() for line in text.splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def vv(subject: str) -> str:
    """`phối hợp …` → `V/v phối hợp …`, once."""
    return subject if re.match(r"V/v\b", subject) else f"V/v {subject}"


def first_up(text: str) -> str:
    """The first letter as a capital, the rest as it is."""
    return text[:1].upper() + text[1:]
