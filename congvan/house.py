"""Puts the parts together: the only place that builds concrete ones."""

from __future__ import annotations

import gc
import os
import random
import secrets
import tempfile
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Protocol

from congvan.almanac import build as build_calendars
from congvan.almanac import read_calendar_file
from congvan.clock import Clock, DemoClock, SystemClock
from congvan.errors import NothingInstalled
from congvan.letters.press import Press, Rendered
from congvan.letters.sheet import Sheet
from congvan.links import Links
from congvan.mail.outgoing import Outcome, Outgoing
from congvan.mail.sender import Limits, Sender, SmtpUrl
from congvan.mail.words import Words
from congvan.rules.calendar import Calendars
from congvan.settings import Settings
from congvan.store.database import Store

#: Objects made between two searches for cycles, where they are searched for rarely.
_COLLECT_FROM = 50_000
#: The shortest key that is believed to be one: 128 bits in base64.
KEY_LETTERS = 22


class Typesetter(Protocol):
    """Turns a sheet into a page. `letters.press.Press` is the real one; the simulator has a quick one."""

    def render(self, sheet: Sheet) -> Rendered:
        """The letter as PDF, HTML and text."""
        ...

    def frame(self, sheet: Sheet) -> dict[str, Any]:
        """All of the page but its body."""
        ...

    def render_fragment(self, sheet: Sheet) -> str:
        """The letter's words alone, for the mail that carries it."""
        ...


class Carrier(Protocol):
    """Hands messages to a mail server. `mail.sender.Sender` is the real one."""

    def send(self, batch: Iterable[Outgoing]) -> AsyncGenerator[Outcome, None]:
        """One outcome for each message, in any order."""
        ...


@dataclass
class House:
    """Everything an act needs. `name` tells this process from others in leases."""

    settings: Settings
    store: Store
    clock: Clock
    calendars: Calendars
    press: Typesetter
    words: Words
    random: random.Random
    name: str = field(default="")
    #: Of the last id: its instant and its random numbers. Not handed on to a copy, which begins its own.
    _last: tuple[int, int] = field(default=(-1, 0), init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.name = self.name or self.new_id(None)

    @cached_property
    def links(self) -> Links:
        """Signs and reads the links in mails; raise NothingInstalled without a secret key."""
        keys = [key.get_secret_value() for key in self.settings.secret_keys]
        if not keys:
            raise NothingInstalled("chưa đặt CONGVAN_SECRET_KEYS: không ký được đường dẫn")
        return Links(keys, self.settings.portal_url)

    def new_id(self, now: datetime | None) -> str:
        """A UUIDv7 in hex (RFC 9562 section 5.7), from this house's clock and random numbers.

        Those of one instant that are made one after the other rise (section 6.2, method 2): what is made together
        stands together in every index, and a batch of it touches a few pages of each instead of one for each row.
        """
        ms = int(now.timestamp() * 1000) if now else 0
        then, rest = self._last
        rest = rest + 1 + self.random.getrandbits(32) if ms == then else self.random.getrandbits(73)
        self._last = ms, rest
        value = ms << 80 | 0x7 << 76 | (rest >> 62) << 64 | 0b10 << 62 | rest & (1 << 62) - 1
        return f"{value:032x}"

    @property
    def lease(self) -> timedelta:
        """How long work may be held before somebody else may take it over."""
        return timedelta(seconds=self.settings.lease_s)

    def apart(self) -> House:
        """The same house with a way of its own to the database: for work on another thread's event loop."""
        store = Store(self.store.url.render_as_string(hide_password=False), gives_way=self.store.gives_way)
        return replace(self, store=store, clock=DemoClock(store) if isinstance(self.clock, DemoClock) else self.clock)

    async def close(self) -> None:
        """Return what is held."""
        await self.store.close()


def carrier(settings: Settings) -> Sender:
    """The mail server that the settings name."""
    limits = Limits(
        rate_per_s=settings.smtp_rate_per_s or None,
        domain_rate_per_s=settings.smtp_domain_rate_per_s or None,
        per_domain=settings.smtp_per_domain or None,
    )
    return Sender(SmtpUrl.parse(settings.smtp_url), connections=settings.smtp_connections, limits=limits)


def build(settings: Settings | None = None, *, gives_way: bool = False) -> House:
    """The house as the settings describe it. gives_way: nobody waits for what it writes (`Store`)."""
    settings = settings or Settings()
    settings.home.mkdir(parents=True, exist_ok=True)
    settings = with_keys(settings)
    _imported()
    store = Store(settings.database, gives_way=gives_way)
    return House(
        settings=settings,
        store=store,
        clock=DemoClock(store) if settings.demo else SystemClock(),
        calendars=build_calendars(read_calendar_file(settings.config / "calendar.yaml")),
        press=Press(settings.templates / "letters", *([settings.letters] if settings.letters else [])),
        words=Words(settings.templates),
        random=random.SystemRandom(),
    )


@cache
def _imported() -> None:
    """Leave what was imported out of every search for cycles: each took a tenth of a second, perhaps while a
    transaction held the database and an answer waited. Once: what is garbage now would stay for ever."""
    gc.freeze()


@contextmanager
def rarely_collected() -> Iterator[None]:
    """For work that makes much that lives for a moment and little that refers to itself: with Python's own
    thresholds the search for cycles takes a quarter of a dispatch, a sixth of a simulated world."""
    before = gc.get_threshold()
    gc.set_threshold(max(before[0], _COLLECT_FROM), *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def key_in(path: Path) -> str:
    """The secret key that this file holds; "" for none: empty, too short or no text, as a full disk leaves it."""
    try:
        key = path.read_text("utf-8").strip()
    except UnicodeDecodeError:
        return ""
    return key if len(key) >= KEY_LETTERS else ""


def with_keys(settings: Settings) -> Settings:
    """The settings with a secret key: the one in `home` where none is set, made on first use; raise NothingInstalled
    where its file holds none that can be believed: an empty key would let everybody sign."""
    if settings.secret_keys:
        return settings
    path = settings.home / "secret.key"
    if not path.exists():
        _make_key(path)
    if not (key := key_in(path)):
        raise NothingInstalled(
            f"{path} không có khóa nào → chép lại tệp từ bản sao lưu, hoặc xóa tệp (mọi đường dẫn đã gửi hết hiệu lực)"
        )
    return Settings.model_validate(settings.model_dump() | {"secret_keys": (key,)})


def _make_key(path: Path) -> None:
    """Whole or not at all, whatever ends this process or fills the disk; of two that make one, the first is kept."""
    descriptor, name = tempfile.mkstemp(prefix=".secret.", dir=path.parent)  # readable by its owner alone
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(32))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(name, path)
    finally:
        os.unlink(name)
