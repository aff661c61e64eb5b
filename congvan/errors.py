"""Everything this package raises on purpose. The docstring of a class is its default message."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from traceback import walk_tb


class CongvanError(Exception):
    """Something went wrong in congvan."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip().splitlines()[0])


class NotFound(CongvanError):
    """There is no such thing in the database. `congvan status` lists what there is."""


class StaleDelivery(CongvanError):
    """Somebody else changed this first; look again before you repeat it."""


class ImpossibleMove(CongvanError):
    """This event cannot happen in this state."""


class ActRefused(CongvanError):
    """This act is not possible now."""


class LinkInvalid(CongvanError):
    """This link was not issued by us, or it was changed on the way."""


class LinkExpired(LinkInvalid):
    """This link has expired."""


class LinkRevoked(LinkInvalid):
    """This link was withdrawn; a newer letter carries the valid one."""


class LetterRefused(CongvanError):
    """The mail server refused the message for good; repeating it is pointless."""


class MailUnavailable(CongvanError):
    """The mail server cannot take the message now; try again later."""


class NothingInstalled(CongvanError):
    """A part that this act needs is not set up. `congvan doctor` says which and what to do."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with something a person wrote, in that person's words.

    file: the name as it was given. row: the spreadsheet row, 1 = the heading, or None.
    field: the column heading or the dotted path in the plan. message: what is wrong.
    remedy: what to do about it.
    """

    file: str
    field: str
    message: str
    remedy: str
    row: int | None = None

    def __str__(self) -> str:
        where = self.file if self.row is None else f"{self.file}, dòng {self.row}"
        field = f", «{self.field}»" if self.field else ""
        return f"{where}{field}: {self.message} → {self.remedy}"


class BadInput(CongvanError):
    """What was handed in cannot be used; the database is unchanged.

    Carries every fault that was found, not only the first. The command line ends with status 2.
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


def first_line(error: BaseException) -> str:
    """The first line of an error's message: the rest is SQL or a stack."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0]


def place_of(error: BaseException) -> str:
    """An error's class and the last line of ours that it came through: for a log, where its message has no place,
    since that may quote a row or an address."""
    place = ""
    for frame, line in walk_tb(error.__traceback__):
        module = str(frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] in ("congvan", "flows", "tasks"):
            place = f" in {module}, line {line}"
    return f"{type(error).__name__}{place}"
