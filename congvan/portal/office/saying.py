"""What is wrong, in the words of whoever typed it; and the values that operators type."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import yaml

from congvan.commands import given
from congvan.errors import BadInput, CongvanError, Fault, ImpossibleMove, StaleDelivery


class Refusals:
    """Refusals of the acts as operators read them: `templates/portal/office/refusals.yaml`."""

    def __init__(self, folder: Path) -> None:
        read: Mapping[str, Mapping[str, str]] = yaml.safe_load((folder / "refusals.yaml").read_text("utf-8"))
        self.known = dict(read["said"])
        self._instead = dict(read["instead"])

    def of(self, error: CongvanError) -> list[str]:
        """One line for each thing that is wrong."""
        if isinstance(error, BadInput):
            return [self._here(fault(one)) for one in error.faults]
        if isinstance(error, ImpossibleMove | StaleDelivery):
            return [self.known[type(error).__name__]]
        text = str(error)
        return [next((said for start, said in self.known.items() if text.startswith(start)), self._here(text))]

    def _here(self, text: str) -> str:
        """The acts serve the command line as well, and name its options; here another thing is to be done."""
        for words, instead in self._instead.items():
            text = text.replace(words, instead)
        return text


def fault(one: Fault) -> str:
    """A fault without the file it stands in: the form is before their eyes."""
    place = f"{one.field}: " if one.field else ""
    return f"{place}{one.message} → {one.remedy}"


def required(text: str, field: str) -> str:
    """A text that must say something; raise BadInput."""
    if not text.strip():
        raise given.refuse(field, "chưa ghi", "điền mục này")
    return text.strip()


def until(day: str, hour: str, field: str) -> datetime:
    """A new deadline from a day and an hour, 17:00 where none is given; raise BadInput."""
    return given.until(f"{day} {hour}".strip(), field)
