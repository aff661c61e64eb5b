"""How each party of the demo behaves: decided by its code alone, so that every run plays the same campaign.

Whoever is silent, refuses, rejects or answers late lies in an invented park: the demo shames nobody real.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from congvan.rules.records import Organisation, Register


class Manner(StrEnum):
    """What a recipient does with the letter."""

    PROMPT = "prompt"
    AFTER_REMINDER = "after_reminder"
    LATE = "late"
    NEVER = "never"
    REJECTS = "rejects"
    NO_MAILBOX = "no_mailbox"


@dataclass(frozen=True, slots=True)
class Character:
    """One recipient. hours: how long it lies on the desk, in hours of the clock."""

    code: str
    manner: Manner
    hours: float
    name: str
    position: str


#: Shares of the manners among tenants of invented parks, in per cent, in this order.
_INVENTED = (
    (Manner.NO_MAILBOX, 6),
    (Manner.REJECTS, 6),
    (Manner.NEVER, 10),
    (Manner.LATE, 14),
    (Manner.AFTER_REMINDER, 20),
)
#: Everybody else answers, a few only when reminded.
_OTHERS = ((Manner.AFTER_REMINDER, 12),)
#: Companies pass letters on at their morning and afternoon meetings, so several do at the same hour.
_MEETINGS_H = 5.0
_NAMES = ("Nguyễn Văn An", "Trần Thị Bình", "Lê Minh Châu", "Phạm Quốc Dũng", "Hoàng Thu Hà", "Vũ Đức Khánh")
_POSITIONS = ("Trưởng phòng Hành chính", "Văn thư", "Phó Giám đốc", "Phụ trách an toàn")


def cast(register: Register, passes_on: frozenset[str]) -> dict[str, Character]:
    """Every organisation's character by code. passes_on: codes of those with somebody below them.

    Of the investors with nothing but invented parks the last one stays silent; its tenants are reached
    past it.
    """
    parks = {park.code: park for park in register.parks}
    run_by: dict[str, list[bool]] = {}
    for park in register.parks:
        if park.investor:
            run_by.setdefault(park.investor, []).append(park.invented)
    invented = sorted(code for code, flags in run_by.items() if all(flags) and code in passes_on)
    silent = invented[-1:]
    offices = {one.parent for one in register.organisations if one.parent}

    def character(one: Organisation) -> Character:
        dice = int.from_bytes(hashlib.sha256(one.code.encode()).digest()[:8], "big")
        hours = 1 + (dice >> 8) % 260 / 10
        if one.code in silent:
            manner = Manner.NEVER
        elif one.code in offices:
            # An authority's own office takes in what comes the same morning.
            manner, hours = Manner.PROMPT, 1.0
        elif one.code in run_by:
            manner, hours = Manner.PROMPT, _MEETINGS_H * (1 + (dice >> 8) % 5)
        else:
            free = bool(one.parks) and all(parks[code].invented for code in one.parks)
            manner = _manner(_INVENTED if free else _OTHERS, dice % 100)
        name, position = _NAMES[(dice >> 16) % len(_NAMES)], _POSITIONS[(dice >> 24) % len(_POSITIONS)]
        return Character(one.code, manner, hours, name, position)

    return {one.code: character(one) for one in register.organisations}


def _manner(shares: tuple[tuple[Manner, int], ...], roll: int) -> Manner:
    for manner, share in shares:
        if roll < share:
            return manner
        roll -= share
    return Manner.PROMPT
