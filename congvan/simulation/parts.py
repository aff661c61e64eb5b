"""A house with real parts, but for the clock, the disk and the typesetter."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import date, datetime
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from congvan.almanac import CalendarFile, Window
from congvan.almanac import build as build_calendars
from congvan.clock import HandClock
from congvan.house import House
from congvan.letters.press import Rendered
from congvan.letters.sheet import Sheet
from congvan.mail.words import Words
from congvan.rules.calendar import Calendars
from congvan.settings import Settings
from congvan.simulation.faults import stream
from congvan.simulation.inline import Disk, InlineStore

PORTAL = "https://cong-van.example"
MAILBOX = "congvan@ban.example"
LEASE_S = 120
#: Days in which routine mail is held: around Tết.
_QUIET = (
    (date(2023, 1, 17), date(2023, 1, 27)),
    (date(2024, 2, 5), date(2024, 2, 15)),
    (date(2025, 1, 25), date(2025, 2, 3)),
    (date(2026, 2, 13), date(2026, 2, 22)),
)


class QuickPress:
    """A typesetter without pages: a few bytes that depend on every word of the sheet."""

    def render(self, sheet: Sheet) -> Rendered:
        """Bytes in the place of a PDF, and the subject as words."""
        said = hashlib.sha256(sheet.model_dump_json().encode()).hexdigest()
        pdf = f"%PDF-1.4 {sheet.template} {sheet.code} {said}\n%%EOF".encode()
        subject = sheet.subject or f"chuyển tiếp văn bản ({sheet.template})"
        html = f"<p>{escape(subject)}</p>"
        return Rendered(pdf, html, subject, hashlib.sha256(pdf).hexdigest(), subject, html)

    def frame(self, sheet: Sheet) -> dict[str, Any]:
        """To whom it goes, as its sheet has it."""
        return {"addressees": list(sheet.addressees), "distribution": list(sheet.distribution)}

    def render_fragment(self, sheet: Sheet) -> str:
        """The subject as a paragraph."""
        return f"<p>{escape(sheet.subject or sheet.template)}</p>"


@cache
def calendars() -> Calendars:
    """Vietnam's working days with the quiet windows of these years."""
    windows = tuple(Window(first=first, last=last) for first, last in _QUIET)
    return build_calendars(CalendarFile(quiet=windows))


@cache
def _words(templates: Path) -> Words:
    return Words(templates)


@cache
def _settings(folder: Path) -> Settings:
    return Settings(
        home=folder, secret_keys=("key-of-a-played-world-" + "x" * 24,), portal_url=PORTAL, mail_from=MAILBOX,
        lease_s=LEASE_S, link_days=180, _env_file=None,
    )  # fmt: skip


def new_house(seed: int, name: str, disk: Disk, at: datetime, folder: Path, dies: Callable[[str], None]) -> House:
    """A process's house on the one disk, as after a start. name: tells one life of a process from the next."""
    settings = _settings(folder)
    return House(
        settings=settings,
        store=InlineStore(disk, dies),
        clock=HandClock(at),
        calendars=calendars(),
        press=QuickPress(),
        words=_words(settings.templates),
        random=stream(seed, f"house/{name}"),
    )
