"""An invented registry around real parks: tenants with plausible names, for demonstrations and measurements.

A `World` says who is real and how many are to be invented; the same world and seed give the same
registry on every machine. Whoever is invented is marked, lives at a reserved mail domain (RFC 2606) and
has a tax code of one made-up series.

    python -m congvan.registry.invented WORLD.yaml FOLDER
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from random import Random

from pydantic import Field

from congvan.reading import read_record
from congvan.registry.export import write_register
from congvan.rules.records import Code, Contact, Line, Organisation, Park, Person, Record, Register, Text

_TAX_CODE_SERIES = 9900000000


class Investor(Record):
    """A developer of parks. signer and position are the world's where they are empty."""

    code: Code
    name: Line
    name_en: Text = ""
    abbreviation: Text
    signer: Text = ""
    position: Line = "TỔNG GIÁM ĐỐC"
    invented: bool = False


class ParkPlan(Record):
    """A park, and how many tenants are to be invented in it."""

    code: Code
    name: Line
    investor: Code
    zone: Text = ""
    tenants: int = Field(ge=0)
    chemical_percent: int | None = None
    invented: bool = False


class TenantPlan(Record):
    """How tenants are invented. Percentages are of all tenants; `in_two_parks` and `outside` are counts."""

    level: Code
    in_two_parks: int = 0
    foreign_percent: int = 50
    second_mailbox_percent: int = 0
    chemical_percent: int = 0
    chemical_segment: Code
    chemical_parts: tuple[Code, ...] = Field(min_length=1)
    outside: int = 0
    outside_code: Code
    outside_parent: Code | None = None
    outside_address: Text = ""


class Names(Record):
    """The words of which names are made. Pairs are (Vietnamese, English)."""

    legal_forms: tuple[Line, ...]
    trades: tuple[Line, ...]
    chemical_trades: dict[Code, tuple[Line, ...]]
    own_names: tuple[Line, ...]
    foreign_trades: tuple[tuple[Line, Line], ...]
    foreign_chemical_trades: dict[Code, tuple[tuple[Line, Line], ...]]
    foreign_first: tuple[Line, ...]
    foreign_second: tuple[Line, ...]
    foreign_endings: tuple[Line, ...]


class World(Record):
    """Everything that a registry is invented from."""

    seed: int
    mail_domain: Line
    place: Line
    organisations: tuple[Organisation, ...]
    investor_level: Code
    investor_parent: Code
    investor_signer: Line
    investors: tuple[Investor, ...]
    parks: tuple[ParkPlan, ...]
    tenants: TenantPlan
    names: Names


def invent(world: World) -> Register:
    """The registry of a world: the given organisations, the investors, and the invented tenants."""
    tenants = _Tenants(world)
    return Register(
        organisations=(
            *world.organisations,
            *(_investor(world, one) for one in world.investors),
            *chain.from_iterable(tenants.in_park(park) for park in world.parks),
            *tenants.outside(),
        ),
        parks=tuple(
            Park(code=one.code, name=one.name, investor=one.investor, zone=one.zone, invented=one.invented)
            for one in world.parks
        ),
    )


def _investor(world: World, one: Investor) -> Organisation:
    domain = f"{one.code.lower()}.{world.mail_domain}"
    return Organisation(
        code=one.code,
        name=one.name,
        name_en=one.name_en,
        level=world.investor_level,
        parent=world.investor_parent,
        abbreviation=one.abbreviation,
        place=world.place,
        contacts=(
            Contact(email=f"vanthu@{domain}", role="văn thư"),
            Contact(email=f"office@{domain}", role="văn phòng", order=2),
        ),
        signers=(Person(name=one.signer or world.investor_signer, position=one.position),),
        invented=one.invented,
    )


class _Tenants:
    """Invents tenants one after the other; no name is given twice."""

    def __init__(self, world: World) -> None:
        self.world, self.plan, self.names = world, world.tenants, world.names
        self.random = Random(world.seed)
        self.taken: set[str] = set()
        self.count = 0
        self.second_parks = self._pairs()

    def in_park(self, park: ParkPlan) -> list[Organisation]:
        percent = self.plan.chemical_percent if park.chemical_percent is None else park.chemical_percent
        made = []
        for number in range(1, park.tenants + 1):
            code = f"{park.code}-{number:03}"
            second = self.second_parks.get(code)
            address = f"Lô {self.random.choice('ABCDEFGH')}{self.random.randint(1, 40)}, {park.name}"
            parks = (park.code, second) if second else (park.code,)
            made.append(self._tenant(code, parks, address, percent))
        return made

    def outside(self) -> list[Organisation]:
        plan = self.plan
        return [
            self._tenant(f"{plan.outside_code}-{number:03}", (), plan.outside_address, plan.chemical_percent)
            for number in range(1, plan.outside + 1)
        ]

    def _pairs(self) -> dict[str, str]:
        """Tenants in a second park. Invented parks pair with invented ones only: no real park is drawn in."""
        pairs: dict[str, str] = {}
        groups = [
            [park for park in self.world.parks if park.tenants and park.invented is invented]
            for invented in (True, False)
        ]
        groups = [group for group in groups if len(group) > 1]
        for number in range(self.plan.in_two_parks if groups else 0):
            first, second = self.random.sample(groups[number % len(groups)], 2)
            pairs[f"{first.code}-{self.random.randint(1, first.tenants):03}"] = second.code
        return pairs

    def _tenant(self, code: str, parks: Sequence[str], address: str, chemical_percent: int) -> Organisation:
        plan, chance = self.plan, self.random
        part = chance.choice(plan.chemical_parts) if chance.random() * 100 < chemical_percent else ""
        name, name_en = self._name(part)
        self.count += 1
        domain = f"{code.lower()}.{self.world.mail_domain}"
        mailboxes = [
            ("office", "văn phòng") if name_en else ("vanthu", "văn thư"),
            ("hcns", "hành chính nhân sự"),
        ]
        if chance.random() * 100 >= plan.second_mailbox_percent:
            mailboxes.pop(chance.randrange(2))
        return Organisation(
            code=code,
            name=name,
            name_en=name_en,
            level=plan.level,
            parent=None if parks else plan.outside_parent,
            parks=tuple(parks),
            segments=(plan.chemical_segment, f"{plan.chemical_segment}.{part}") if part else (),
            tax_code=str(_TAX_CODE_SERIES + self.count),
            address=address,
            place=self.world.place,
            contacts=tuple(
                Contact(email=f"{box}@{domain}", role=role, order=order)
                for order, (box, role) in enumerate(mailboxes, 1)
            ),
            invented=True,
        )

    def _name(self, part: str) -> tuple[str, str]:
        """A new name, and the English one of a foreign company; a number tells apart what chance repeats."""
        foreign = self.random.random() * 100 < self.plan.foreign_percent
        for number in range(-20, len(self.taken) + 2):
            name, name_en = self._foreign(part) if foreign else (self._own(part), "")
            name = f"{name} {number}" if number > 1 else name
            if name not in self.taken:
                break
        self.taken.add(name)
        return name, name_en

    def _own(self, part: str) -> str:
        trades = self.names.chemical_trades[part] if part else self.names.trades
        words = (self.random.choice(self.names.legal_forms), self.random.choice(trades))
        return " ".join((*words, self.random.choice(self.names.own_names)))

    def _foreign(self, part: str) -> tuple[str, str]:
        trades = self.names.foreign_chemical_trades[part] if part else self.names.foreign_trades
        trade, trade_en = self.random.choice(trades)
        word = self.random.choice(self.names.foreign_first) + self.random.choice(self.names.foreign_second)
        ending = self.random.choice(self.names.foreign_endings)
        return f"Công ty TNHH {trade} {word} {ending}", f"{word} {trade_en} Vietnam Co., Ltd."


def main(arguments: Sequence[str]) -> None:
    """Read the world, write the registry: `WORLD.yaml FOLDER`."""
    source, target = arguments
    world, _ = read_record(Path(source), World)
    write_register(invent(world), Path(target))


if __name__ == "__main__":
    main(sys.argv[1:])
