"""What the doctor says of one part."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

#: How long a server may take to answer, in seconds.
ANSWERS_S = 5.0


@dataclass(frozen=True, slots=True)
class Check:
    """One line. name: the part. remedy: what to do; empty where all is well. Good with a remedy: a warning, for it
    will not stay so."""

    name: str
    good: bool
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        word = "FAULT" if not self.good else "WARN " if self.remedy else "OK   "
        line = f"{word} {self.name}: {self.message}"
        return f"{line} → {self.remedy}" if self.remedy else line

    def as_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


def ok(name: str, message: str) -> Check:
    """All is well."""
    return Check(name, True, message)


def warning(name: str, message: str, remedy: str) -> Check:
    """All is well, and will not stay so."""
    return Check(name, True, message, remedy)


def fault(name: str, message: str, remedy: str) -> Check:
    """Something a person has to put right."""
    return Check(name, False, message, remedy)
