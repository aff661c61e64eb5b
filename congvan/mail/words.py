"""The words of every e-mail: three templates a stem (subject, text, HTML), filled from one frozen record.

All that people read stands in `templates/emails/`; what a stem may use stands in `contexts.py`.
StrictUndefined: no letter leaves with a hole in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from congvan.mail.contexts import (
    CHANGES,
    STEMS,
    Asked,
    BypassMail,
    ChangeMail,
    Context,
    CopyMail,
    DeclinedMail,
    DelegatedMail,
    DigestCampaign,
    DigestGroup,
    DigestMail,
    DigestRow,
    ExtensionMail,
    Figures,
    File,
    Head,
    IssueWantedMail,
    LeaderMail,
    LetterMail,
    NoticeMail,
    OverdueMail,
    ReceiptMail,
    ReminderMail,
    ReportMail,
    SlipMail,
    WaitingLetter,
)
from congvan.mail.fragment import plain, styled
from congvan.mail.message import Encoded, Encoder, ready

__all__ = [
    "CHANGES",
    "STEMS",
    "Asked",
    "BypassMail",
    "ChangeMail",
    "Context",
    "CopyMail",
    "DeclinedMail",
    "DelegatedMail",
    "DigestCampaign",
    "DigestGroup",
    "DigestMail",
    "DigestRow",
    "ExtensionMail",
    "Figures",
    "File",
    "Head",
    "IssueWantedMail",
    "LeaderMail",
    "LetterMail",
    "Mail",
    "Mould",
    "NoticeMail",
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
    """The words of one message. `subject` is one line."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True)
class Carried:
    """The same as it travels: text and page in lines of base64."""

    subject: str
    text: Encoded
    html: Encoded


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


#: What `escape` changes.
_ESCAPED = re.compile("[&<>\"']")


@dataclass(frozen=True)
class Mould:
    """A mail with open places."""

    mail: Mail
    marks: tuple[tuple[str, str], ...]

    @cached_property
    def _cut(self) -> tuple[_Cut, _Cut, _Cut]:
        """Subject, text and page."""
        order = {mark: number for number, (_, mark) in enumerate(self.marks)}
        marks = "|".join(map(re.escape, order))
        return tuple(  # type: ignore[return-value]
            _Cut.of(re.split(f"({marks})", text) if marks else [text], order)
            for text in (self.mail.subject, self.mail.text, self.mail.html)
        )

    @cached_property
    def _encoded(self) -> tuple[Encoder, Encoder]:
        _, text, page = self._cut
        return Encoder(text.fixed), Encoder(page.fixed)

    def fill(self, values: dict[str, str]) -> Mail:
        """The mail of one recipient; raise KeyError for an open place that `values` leaves open."""
        plain, escaped = self._values(values)
        _, text, page = self._cut
        return Mail(self._subject(plain), text.fill(plain), page.fill(escaped))

    def carried(self, values: dict[str, str]) -> Carried:
        """As `fill`, in the form in which it travels; a tenth of the work."""
        plain, escaped = self._values(values)
        _, text, page = self._cut
        for_text, for_page = self._encoded
        plain_octets = list(map(ready, plain))
        escaped_octets = plain_octets if escaped is plain else list(map(ready, escaped))
        return Carried(
            self._subject(plain),
            for_text.fill([plain_octets[which] for which in text.holes]),
            for_page.fill([escaped_octets[which] for which in page.holes]),
        )

    @cached_property
    def _same_subject(self) -> str | None:
        """The subject where nothing in it is open."""
        subject = self._cut[0]
        return None if subject.holes else " ".join(subject.fixed[0].split())

    def _subject(self, plain: list[str]) -> str:
        same = self._same_subject
        return " ".join(self._cut[0].fill(plain).split()) if same is None else same

    def _values(self, values: dict[str, str]) -> tuple[list[str], list[str]]:
        """As they stand in a text and in a page; the same list where they stand alike."""
        plain = [values[name] for name, _ in self.marks]
        if not _ESCAPED.search("".join(plain)):
            return plain, plain
        return plain, [str(escape(value)) for value in plain]


@dataclass(frozen=True, slots=True)
class _Cut:
    """A text cut at its open places. holes: which value stands behind each fixed piece but the last."""

    fixed: tuple[str, ...]
    holes: tuple[int, ...]

    @classmethod
    def of(cls, pieces: list[str], order: dict[str, int]) -> _Cut:
        return cls(tuple(pieces[::2]), tuple(order[mark] for mark in pieces[1::2]))

    def fill(self, values: list[str]) -> str:
        pieces = [""] * (2 * len(self.holes) + 1)
        pieces[::2] = self.fixed
        pieces[1::2] = [values[hole] for hole in self.holes]
        return "".join(pieces)


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
