"""What words templates can do with a value beyond printing it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

import jinja2
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup, escape

from congvan.letters import numbering
from congvan.rules.labels import letter_name

#: The deadline's place in a plan's text, written in any of the ways that people try.
DEADLINE = re.compile(r"\{\{\s*deadline\s*\}\}|\{\s*deadline\s*\}")
_CLOSING = re.compile(r"</\w+\s*>")
#: The end of a text: marks, and the tags that close there.
_END = re.compile(rf"[\s./]*(?:{_CLOSING.pattern}[\s./]*)*\Z")
_BLOCK = re.compile(r"<(?:p|ul|ol|table|img|hr)\b", re.IGNORECASE)


def day(value: date | str | None) -> str:
    """A date, or its ISO form, as "08/12/2023"."""
    return numbering.short_day(_day(value))


def long_day(value: date | str) -> str:
    """A date as "ngày 08 tháng 12 năm 2023"."""
    known = _day(value)
    if known is None:
        raise ValueError("a date is needed")
    return numbering.long_day(known)


def moment(value: datetime | str) -> str:
    """An aware instant, or its ISO form, as "17 giờ 00 ngày 08/12/2023"."""
    return numbering.moment(datetime.fromisoformat(value) if isinstance(value, str) else value)


def code(document: Mapping[str, Any] | None) -> str:
    """Số, ký hiệu of a document {number, notation or symbol}: "25/VP-TH"; "…/VP-TH" before it has a number."""
    if document is None:
        return numbering.BLANK
    return numbering.code(
        str(document.get("number") or ""),
        str(document.get("notation") or document.get("symbol") or ""),
        abbreviation=str(document.get("abbreviation") or ""),
    )


def kind(document: Mapping[str, Any]) -> str:
    """What a document is cited as; a công văn where a sheet from before there was the field does not say."""
    return document.get("kind") or letter_name("")


@jinja2.pass_context
def words(context: jinja2.runtime.Context, text: str) -> Markup:
    """A plan's text: a fragment of the small HTML in which {deadline} and Jinja names are filled in."""
    environment = context.environment
    if DEADLINE.search(text):
        deadline = _deadline(context)
        text = DEADLINE.sub(lambda _: deadline, text)
    if "{{" in text or "{%" in text:
        return Markup(environment.from_string(text).render(context.get_all()))
    return Markup(text)


def _deadline(context: jinja2.runtime.Context) -> str:
    """The letter's deadline; where its recipients have several, each with those whom it is for."""
    several: Any = context.resolve("deadlines") if "deadlines" in context else ()
    if several:
        return ", ".join(f"{moment(one['at'])} (đối với: {', '.join(one['levels'])})" for one in several)
    deadline: Any = context.resolve("deadline")
    return moment(deadline)


def block(text: str) -> Markup:
    """A text as blocks: what stands before the first block that it brings goes into <p>."""
    written = escape(text).strip()
    found = _BLOCK.search(written)
    lead = written[: found.start()] if found else written
    wrapped = Markup("<p>%s</p>") % lead.rstrip() if lead else Markup()
    return wrapped + written[len(lead) :]


def go_on(text: str) -> Markup:
    """A text that ended a letter ("./.") as one after which another follows."""
    return escape(text).replace("./.", ".")


def ended(text: str) -> Markup:
    """A text as the last of a letter: "./." behind its last word, within what closes there (Phụ lục III, mẫu 1.5)."""
    written = escape(text)
    end = _END.search(written)
    assert end is not None, "the end of a text is found, be it empty"
    return written[: end.start()] + Markup("./." + "".join(_CLOSING.findall(end[0])))


def uncapital(text: str) -> str:
    """A type of document in running text: "văn bản", which is none, is small; a specific one keeps its capital
    (Phụ lục II, mục V)."""
    return text[:1].lower() + text[1:] if text.lower() == "văn bản" else text


def moment_en(value: datetime | str) -> str:
    """An aware instant as "17:00 on 08/12/2023 (Vietnam time)"."""
    instant = datetime.fromisoformat(value) if isinstance(value, str) else value
    local = instant.astimezone(numbering.VIETNAM)
    return f"{local:%H:%M} on {numbering.short_day(local.date())} (Vietnam time)"


def _day(value: date | str | None) -> date | None:
    if isinstance(value, str):
        return date.fromisoformat(value[:10]) if value else None
    return value


FILTERS: dict[str, Callable[..., Any]] = {
    "day": day,
    "long_day": long_day,
    "moment": moment,
    "code": code,
    "kind": kind,
    "words": words,
    "block": block,
    "go_on": go_on,
    "ended": ended,
    "uncapital": uncapital,
    "moment_en": moment_en,
    "listed": numbering.listed,
    "thousands": numbering.thousands,
}


def environment(loader: jinja2.BaseLoader | None = None, *, autoescape: bool) -> SandboxedEnvironment:
    """Jinja2 as letters need it: a missing name is an error, and a plan's text cannot reach Python."""
    made = SandboxedEnvironment(
        loader=loader, autoescape=autoescape, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters.update(FILTERS)
    return made
