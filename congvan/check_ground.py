"""Where a fault of a plan or a cascade is looked up and how it is named; what both checks stand on."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from congvan.errors import Fault
from congvan.registry.faults import meant
from congvan.rules.calendar import local
from congvan.rules.cascade import valid
from congvan.rules.records import Organisation


def line_of(field: str, lines: Mapping[str, int]) -> int | None:
    """The line of an entry, or of the nearest thing around it that has one."""
    while field and field not in lines:
        field = re.sub(r"(\.[^.\[]*|\[\d+\]|^[^.\[]*)$", "", field)
    return lines.get(field)


@dataclass(frozen=True, slots=True)
class Ground:
    """What both checks look things up in. today: in Vietnam."""

    file: str
    organisations: Mapping[str, Organisation]
    now: datetime
    lines: Mapping[str, int]

    @property
    def today(self) -> date:
        """In Vietnam."""
        return local(self.now).date()

    def fault(self, field: str, message: str, remedy: str) -> Fault:
        """A fault of this file, with its line."""
        return Fault(self.file, field, message, remedy, line_of(field, self.lines))

    def unknown(self, field: str, codes: Collection[str], known: Collection[str], what: str) -> Iterator[Fault]:
        """Faults for codes that are not known."""
        for code in codes:
            if code not in known:
                yield self.fault(
                    field, f"không có {what} «{code}»", f"sửa mã{meant(code, known)} hoặc thêm vào danh bạ"
                )

    def reached(self, field: str, code: str) -> Iterator[Fault]:
        """Faults where an organisation does not exist or no mail reaches it today."""
        yield from self.unknown(field, [code], self.organisations, "tổ chức")
        one = self.organisations.get(code)
        if one and not any(valid(two, self.today) for two in one.contacts):
            yield self.fault(
                field, f"«{code}» không có hộp thư còn hiệu lực", "thêm hộp thư ở bảng «Đầu mối» của danh bạ"
            )
