"""Who stands below whom: the route of a campaign, computed once and frozen at launch. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date

from congvan.rules.records import (
    Audience,
    CampaignPlan,
    Cascade,
    Contact,
    HopRule,
    Organisation,
    Person,
    Policy,
    Recipients,
    Register,
    Settles,
)


@dataclass(frozen=True, slots=True)
class Way:
    """One way to a recipient: through a hop, and in which park (empty outside parks)."""

    recipient: str
    level: str
    park: str = ""


@dataclass(frozen=True, slots=True)
class RouteHop:
    """An issuer and every way that leads down from it. `above` is the issuer of the hop above, or None."""

    issuer: str
    level: str
    above: str | None
    ways: tuple[Way, ...]


@dataclass(frozen=True)
class Route:
    """The hops from the root down, in the order in which they can first open."""

    hops: tuple[RouteHop, ...]
    settles: dict[str, Settles] = field(default_factory=dict)

    def recipients(self) -> dict[str, int]:
        """Every recipient once, with the index of the first hop that leads to it."""
        first: dict[str, int] = {}
        for number, hop in enumerate(self.hops):
            for way in hop.ways:
                first.setdefault(way.recipient, number)
        return first


class Directory:
    """Lookups over a register."""

    def __init__(self, register: Register) -> None:
        self.organisations = {one.code: one for one in register.organisations}
        self.parks = {park.code: park for park in register.parks}
        self.by_level: dict[str, list[Organisation]] = {}
        self.in_park: dict[str, list[Organisation]] = {}
        self.run_by: dict[str, list[str]] = {}
        for one in sorted(register.organisations, key=lambda one: one.code):
            self.by_level.setdefault(one.level, []).append(one)
            for code in one.parks:
                self.in_park.setdefault(code, []).append(one)
        for park in sorted(register.parks, key=lambda park: park.code):
            if park.investor:
                self.run_by.setdefault(park.investor, []).append(park.code)

    def parks_of(self, one: Organisation) -> set[str]:
        """The parks that it lies in or runs."""
        return {*one.parks, *self.run_by.get(one.code, ())}

    def below(self, issuer: Organisation, who: Recipients) -> Iterable[Way]:
        """Every way from an issuer to the recipients that one line of the cascade names."""
        if who.who == "parks":
            for park in self.run_by.get(issuer.code, ()):
                for one in self.in_park.get(park, ()):
                    if one.level == who.level and one.code != issuer.code:
                        yield Way(one.code, who.level, park)
            return
        for one in self.by_level.get(who.level, ()):
            if one.code == issuer.code:
                continue
            if who.who == "children" and one.parent != issuer.code:
                continue
            if who.who == "outside_parks" and one.parks:
                continue
            yield Way(one.code, who.level)


def policy_for(cascade: Cascade, plan: CampaignPlan, issuer_level: str, level: str) -> Policy:
    """The policy of a recipient level: the plan's own, else the cascade's."""
    if level in plan.policies:
        return plan.policies[level]
    rule = cascade.rule_of(issuer_level)
    for who in rule.recipients if rule else ():
        if who.level == level:
            return who.policy
    return Policy()


def bears(segments: Iterable[str], wanted: str) -> bool:
    """Whether somebody of these segments is meant by this one: `chemical` means `chemical.storage` too, in any case."""
    asked = wanted.casefold()
    return any(f"{one.casefold()}.".startswith(f"{asked}.") for one in segments)


def selected(audience: Audience, one: Organisation, parks: set[str]) -> bool:
    """True when the audience names this organisation itself."""
    if one.code in audience.exclude:
        return False
    if one.code in audience.include:
        return True
    if audience.include and not (audience.levels or audience.parks or audience.segments):
        return False
    return (
        (not audience.levels or one.level in audience.levels)
        and (not audience.parks or bool(parks & set(audience.parks)))
        and (not audience.segments or any(bears(one.segments, wanted) for wanted in audience.segments))
    )


def resolved(audience: Audience, register: Register) -> Audience:
    """The audience with the parks of its zones among its parks."""
    if not audience.zones:
        return audience
    inside = {park.code for park in register.parks if park.zone in audience.zones}
    return audience.model_copy(update={"parks": tuple(sorted({*audience.parks, *inside})), "zones": ()})


def valid(one: Organisation | Person | Contact, day: date) -> bool:
    """Whether this day lies within its dates; both are inclusive, open where they are None."""
    return (one.valid_from is None or one.valid_from <= day) and (one.valid_until is None or day <= one.valid_until)


def in_force(register: Register, day: date) -> Register:
    """The register without the organisations that do not exist on this day (valid_from, valid_until inclusive)."""
    return register.model_copy(
        update={"organisations": tuple(one for one in register.organisations if valid(one, day))}
    )


def route(register: Register, cascade: Cascade, plan: CampaignPlan, day: date | None = None) -> Route:
    """The frozen route of a campaign: breadth first from the root, each issuer once.

    Whoever is not selected stays on the route only when somebody selected is reached through it. day: who does
    not exist then is not on it.
    """
    if day is not None:
        register = in_force(register, day)
    directory = Directory(register)
    hops = _prune(spread(directory, cascade), directory, resolved(plan.audience, register))
    issuers = {hop.issuer for hop in hops}
    settles: dict[str, Settles] = {}
    for hop in hops:
        for way in hop.ways:
            policy = policy_for(cascade, plan, hop.level, way.level)
            # A park without tenants leaves its investor nobody to pass the letter on to.
            alone = policy.settles is Settles.FORWARD and way.recipient not in issuers
            settles.setdefault(way.recipient, Settles.ACKNOWLEDGE if alone else policy.settles)
    return Route(tuple(hops), settles)


def spread(directory: Directory, cascade: Cascade) -> list[RouteHop]:
    """Every hop that the chain has with this registry, whoever is selected; breadth first from the root."""
    roots = directory.by_level.get(cascade.root, [])[:1]
    queue: deque[tuple[Organisation, str | None]] = deque((root, None) for root in roots)
    seen, hops = {root.code for root in roots}, []
    while queue:
        issuer, above = queue.popleft()
        rule: HopRule | None = cascade.rule_of(issuer.level)
        if rule is None:
            continue
        ways = tuple(way for who in rule.recipients for way in directory.below(issuer, who))
        if not ways:
            continue
        hops.append(RouteHop(issuer.code, issuer.level, above, ways))
        for way in ways:
            if way.recipient not in seen:
                seen.add(way.recipient)
                queue.append((directory.organisations[way.recipient], issuer.code))
    return hops


def _prune(hops: list[RouteHop], directory: Directory, audience: Audience) -> list[RouteHop]:
    """The hops and ways that lead to somebody selected.

    Parks that are selected shut the ways through all others, but not to whom `include` names and to who carries it.
    """
    wanted = {
        code
        for code, one in directory.organisations.items()
        if selected(audience, one, directory.parks_of(one))
    }
    named = wanted & set(audience.include)
    kept: list[RouteHop] = []
    needed: set[str] = set()
    for hop in reversed(hops):  # from the bottom, so that an issuer knows whom it still carries
        ways = tuple(way for way in hop.ways if way.recipient in wanted or way.recipient in needed)
        if audience.parks:
            open_ = {"", *audience.parks}
            ways = tuple(way for way in ways if way.park in open_ or way.recipient in named)
        if any(way.recipient in named for way in ways):
            named.add(hop.issuer)
        if ways:
            needed.add(hop.issuer)
            kept.append(replace(hop, ways=ways))
    return kept[::-1]
