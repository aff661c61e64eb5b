"""Who stands below whom: the route of a campaign on small registers, chains of two and five levels, at random."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from congvan.reading import read_cascade, read_plan
from congvan.registry import read_register
from congvan.rules.cascade import Route, policy_for, route, selected
from congvan.rules.records import (
    Audience,
    CampaignPlan,
    Cascade,
    Deadline,
    Organisation,
    Park,
    Policy,
    Recipients,
    Register,
    Settles,
)
from tests.conftest import ROOT

SHIPPED = read_cascade(ROOT / "config" / "cascade.yaml")
PLAN = read_plan(ROOT / "config" / "campaigns" / "8184.yaml")[0].model_copy(update={"policies": {}})


def one(code: str, level: str, *parks: str, **more: object) -> Organisation:
    """An organisation with a name like its code."""
    return Organisation.model_validate({"code": code, "name": code, "level": level, "parks": parks} | more)


def park(code: str, investor: str | None) -> Park:
    """A park and who runs it."""
    return Park(code=code, name=code, investor=investor)


TOP = (one("CITY", "city"), one("BOARD", "board"), one("QHXD", "unit"), one("VP", "unit"))


def plan(**audience: object) -> CampaignPlan:
    """The shipped plan for another audience."""
    return PLAN.model_copy(update={"audience": Audience.model_validate(audience)})


def ways(frozen: Route) -> dict[str, list[tuple[str, str]]]:
    """Issuer → its ways, as (recipient, park)."""
    return {hop.issuer: sorted((way.recipient, way.park) for way in hop.ways) for hop in frozen.hops}


SMALL = Register(
    organisations=(
        *TOP,
        one("INV-A", "investor"),
        one("INV-B", "investor"),
        one("INV-C", "investor"),
        one("T1", "tenant", "P1", segments=("chemical",)),
        one("T2", "tenant", "P1"),
        one("T3", "tenant", "P2"),
        one("T-BOTH", "tenant", "P1", "P2"),
        one("T-OUT", "tenant"),
    ),
    parks=(park("P1", "INV-A"), park("P2", "INV-B"), park("P3", "INV-C"), park("P4", None)),
)


# ------------------------------------------------------------------------------------ the shipped chain


def test_the_directive_goes_from_the_city_to_the_board_to_the_investors_to_the_tenants() -> None:
    frozen = route(SMALL, SHIPPED, plan())
    assert ways(frozen) == {
        "CITY": [("BOARD", "")],
        "BOARD": [(code, "") for code in ("INV-A", "INV-B", "INV-C", "QHXD", "T-OUT", "VP")],
        "INV-A": [("T-BOTH", "P1"), ("T1", "P1"), ("T2", "P1")],
        "INV-B": [("T-BOTH", "P2"), ("T3", "P2")],
    }
    assert [(hop.issuer, hop.above) for hop in frozen.hops] == [
        ("CITY", None), ("BOARD", "CITY"), ("INV-A", "BOARD"), ("INV-B", "BOARD"),
    ]  # fmt: skip


def test_a_tenant_in_two_parks_has_one_obligation_and_two_ways() -> None:
    frozen = route(SMALL, SHIPPED, plan())
    recipients = frozen.recipients()
    assert recipients["T-BOTH"] == 2, "carried by the first investor's hop"
    assert [way.park for hop in frozen.hops for way in hop.ways if way.recipient == "T-BOTH"] == ["P1", "P2"]


def test_a_tenant_in_two_parks_of_one_investor_has_two_ways_in_one_hop() -> None:
    register = Register(
        organisations=(*TOP, one("INV-A", "investor"), one("T", "tenant", "P1", "P2")),
        parks=(park("P1", "INV-A"), park("P2", "INV-A")),
    )
    assert ways(route(register, SHIPPED, plan()))["INV-A"] == [("T", "P1"), ("T", "P2")]


def test_a_tenant_outside_any_park_hangs_directly_below_the_board() -> None:
    frozen = route(SMALL, SHIPPED, plan())
    assert frozen.recipients()["T-OUT"] == 1


def test_an_investor_without_tenants_issues_nothing_and_is_asked_to_acknowledge_only() -> None:
    frozen = route(SMALL, SHIPPED, plan())
    assert "INV-C" not in ways(frozen)
    assert frozen.settles["INV-C"] is Settles.ACKNOWLEDGE
    assert frozen.settles["INV-A"] is Settles.FORWARD
    assert frozen.settles["T1"] is Settles.ACKNOWLEDGE


def test_a_park_without_an_investor_leaves_its_tenants_without_a_way() -> None:
    # The registry's import refuses it; the route does not invent a way.
    lost = SMALL.model_copy(update={"organisations": (*SMALL.organisations, one("T-LOST", "tenant", "P4"))})
    assert "T-LOST" not in route(lost, SHIPPED, plan()).recipients()


def test_the_route_does_not_depend_on_the_order_of_the_register() -> None:
    turned = Register(organisations=SMALL.organisations[::-1], parks=SMALL.parks[::-1])
    assert route(turned, SHIPPED, plan()) == route(SMALL, SHIPPED, plan())


def test_a_register_without_the_first_level_has_no_route() -> None:
    assert route(Register(organisations=SMALL.organisations[1:], parks=SMALL.parks), SHIPPED, plan()).hops == ()


# ------------------------------------------------------------------------------------ the audience


@pytest.mark.parametrize(
    ("audience", "reached"),
    [
        ({"levels": ["tenant"]}, "BOARD INV-A INV-B T1 T2 T3 T-BOTH T-OUT"),
        ({"levels": ["unit"]}, "BOARD QHXD VP"),
        ({"parks": ["P2"]}, "BOARD INV-B T3 T-BOTH"),
        ({"parks": ["P3"]}, "BOARD INV-C"),
        ({"segments": ["chemical"]}, "BOARD INV-A T1"),
        ({"include": ["T3"]}, "BOARD INV-B T3"),
        ({"segments": ["chemical"], "include": ["T-OUT"]}, "BOARD INV-A T1 T-OUT"),
        ({"levels": ["tenant"], "exclude": ["T1", "T2", "T-BOTH"]}, "BOARD INV-B T3 T-OUT"),
        ({"levels": ["tenant"], "parks": ["P1"], "segments": ["chemical"]}, "BOARD INV-A T1"),
        ({"parks": ["P2"], "include": ["T1"]}, "BOARD INV-A INV-B T1 T3 T-BOTH"),
        ({"parks": ["P3"], "include": ["T1"], "exclude": ["T1"]}, "BOARD INV-C"),
        ({"levels": ["nobody"]}, ""),
    ],
)
def test_the_audience_selects_and_whoever_carries_it_stays_on_the_route(
    audience: dict[str, list[str]], reached: str
) -> None:
    assert set(route(SMALL, SHIPPED, plan(**audience)).recipients()) == set(reached.split())


def test_a_tenant_of_two_parks_is_reached_by_the_selected_park_only() -> None:
    frozen = route(SMALL, SHIPPED, plan(parks=["P2"]))
    assert ways(frozen)["INV-B"] == [("T-BOTH", "P2"), ("T3", "P2")]
    assert "INV-A" not in ways(frozen)


def test_an_excluded_investor_stays_where_a_selected_tenant_is_reached_through_it() -> None:
    assert "INV-A" in route(SMALL, SHIPPED, plan(exclude=["INV-A"])).recipients()
    assert "INV-C" not in route(SMALL, SHIPPED, plan(exclude=["INV-C"])).recipients()


def test_selected_looks_at_the_organisation_alone() -> None:
    tenant = one("T", "tenant", "P1", segments=("chemical",))
    assert selected(Audience(), tenant, {"P1"})
    assert not selected(Audience(exclude=("T",), include=("T",)), tenant, {"P1"})
    assert not selected(Audience(include=("OTHER",)), tenant, {"P1"})
    assert not selected(Audience(parks=("P1",)), tenant, set())


# ------------------------------------------------------------------------------------ policies


def test_the_plan_overrides_the_cascade_by_level() -> None:
    own = Policy(deadline=Deadline(working_days=1))
    hasty = PLAN.model_copy(update={"policies": {"tenant": own}})
    assert policy_for(SHIPPED, hasty, "investor", "tenant") is own
    assert policy_for(SHIPPED, hasty, "board", "investor").deadline.working_days == 5
    assert policy_for(SHIPPED, PLAN, "board", "unit").deadline.calendar == "state"
    assert policy_for(SHIPPED, PLAN, "nobody", "unit") == Policy()


# ------------------------------------------------------------------------------------ other chains


def _chain(name: str) -> tuple[Register, Cascade, CampaignPlan]:
    folder = ROOT / "tests" / "data" / "chains" / name
    cascade = read_cascade(folder / "cascade.yaml")
    register = read_register(sorted((folder / "registry").glob("*.csv")), cascade.levels)
    return register, cascade, read_plan(folder / "plan.yaml")[0]


@pytest.mark.parametrize("name", ["two", "five"])
def test_a_chain_of_another_world_reaches_everybody_once(name: str) -> None:
    register, cascade, chain_plan = _chain(name)
    frozen = route(register, cascade, chain_plan)
    issuers = {hop.issuer for hop in cascade.hops}
    asked = {who.level for hop in cascade.hops for who in hop.recipients}
    assert set(frozen.recipients()) == {one.code for one in register.organisations if one.level in asked}
    assert max(Counter(hop.issuer for hop in frozen.hops).values()) == 1
    assert {hop.level for hop in frozen.hops} == issuers
    tops = [hop.issuer for hop in frozen.hops if hop.above is None]
    assert len(tops) == 1


def test_five_levels_are_four_hops_deep() -> None:
    register, cascade, chain_plan = _chain("five")
    frozen = route(register, cascade, chain_plan)
    above = {hop.issuer: hop.above for hop in frozen.hops}

    def depth(issuer: str | None) -> int:
        return 0 if issuer is None else 1 + depth(above[issuer])

    assert {depth(hop.issuer) for hop in frozen.hops} == {1, 2, 3, 4}
    assert [depth(hop.issuer) for hop in frozen.hops] == sorted(depth(hop.issuer) for hop in frozen.hops)


def test_two_levels_are_one_hop() -> None:
    register, cascade, chain_plan = _chain("two")
    frozen = route(register, cascade, chain_plan)
    assert len(frozen.hops) == 1
    assert frozen.hops[0].above is None


def circle() -> Cascade:
    """Everybody is below everybody."""
    turned = zip(SHIPPED.hops, ("board", "investor", "board"), strict=True)
    hops = [rule.model_copy(update={"recipients": (Recipients(level=level),)}) for rule, level in turned]
    return SHIPPED.model_copy(update={"hops": tuple(hops)})


def test_a_chain_that_bites_its_tail_comes_to_an_end_and_nobody_issues_twice() -> None:
    frozen = route(SMALL, circle(), plan())
    counted = Counter(hop.issuer for hop in frozen.hops)
    assert counted == {"CITY": 1, "BOARD": 1, "INV-A": 1, "INV-B": 1, "INV-C": 1}
    assert "BOARD" not in [way.recipient for hop in frozen.hops if hop.issuer == "BOARD" for way in hop.ways]


# ------------------------------------------------------------------------------------ at random


@st.composite
def registers(draw: st.DrawFn) -> Register:
    investors = [f"I{n}" for n in range(draw(st.integers(0, 4)))]
    parks = [
        park(f"P{n}", draw(st.sampled_from(investors)) if investors else None) for n in range(draw(st.integers(0, 5)))
    ]
    codes = [one.code for one in parks]
    tenants = [
        one(
            f"T{n}",
            "tenant",
            *(draw(st.lists(st.sampled_from(codes), unique=True, max_size=3)) if codes else ()),
            segments=("chemical",) if draw(st.booleans()) else (),
        )
        for n in range(draw(st.integers(0, 8)))
    ]
    return Register(organisations=(*TOP, *(one(code, "investor") for code in investors), *tenants), parks=tuple(parks))


@st.composite
def audiences(draw: st.DrawFn) -> dict[str, list[str]]:
    pick = st.lists(st.sampled_from(["T0", "T1", "I0", "VP"]), unique=True, max_size=2)
    return {
        "levels": draw(st.sampled_from([[], [], ["tenant"], ["unit", "tenant"]])),
        "parks": draw(st.sampled_from([[], [], ["P0"], ["P1", "P2"]])),
        "segments": draw(st.sampled_from([[], [], ["chemical"]])),
        "include": draw(pick),
        "exclude": draw(pick),
    }


def by_hand(register: Register, audience: Audience) -> set[str]:
    """Who is reached, worked out from each recipient upwards instead of from the root down."""
    runs = {one.code: one.investor for one in register.parks}
    wanted = set()
    for candidate in register.organisations:
        parks = {*candidate.parks, *(code for code, investor in runs.items() if investor == candidate.code)}
        if candidate.level != "city" and selected(audience, candidate, parks):
            wanted.add(candidate.code)
    reached = set()
    for candidate in register.organisations:
        if candidate.code not in wanted:
            continue
        named = candidate.code in audience.include
        through = [code for code in candidate.parks if named or not audience.parks or code in audience.parks]
        above = {runs[code] for code in through} - {None}
        if candidate.level == "tenant" and candidate.parks:
            if above:
                reached |= {candidate.code, "BOARD", *(code for code in above if code)}
        else:
            reached |= {candidate.code, "BOARD"}
    return reached


@settings(max_examples=200, deadline=None)
@given(registers(), audiences())
def test_the_route_reaches_who_is_asked_for_and_whoever_stands_between(
    register: Register, wanted: dict[str, list[str]]
) -> None:
    chosen = plan(**wanted)
    frozen = route(register, SHIPPED, chosen)
    assert set(frozen.recipients()) == by_hand(register, chosen.audience)


@settings(max_examples=100, deadline=None)
@given(registers(), audiences())
def test_every_hop_hangs_below_a_way_that_leads_to_its_issuer(register: Register, wanted: dict[str, list[str]]) -> None:
    frozen = route(register, SHIPPED, plan(**wanted))
    reached: set[str] = set()
    for number, hop in enumerate(frozen.hops):
        assert hop.ways
        assert number == 0 or hop.issuer in reached
        assert hop.above is None or hop.above in {earlier.issuer for earlier in frozen.hops[:number]}
        reached |= {way.recipient for way in hop.ways}
        assert hop.issuer not in {way.recipient for way in hop.ways}
    assert set(frozen.settles) == reached
