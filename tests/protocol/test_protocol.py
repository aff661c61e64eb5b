"""The table of the states: every pair, and the picture that docs/protocol.md draws of it."""

from __future__ import annotations

import importlib
import re
from collections import deque
from itertools import product

import pytest

from congvan.errors import ImpossibleMove
from congvan.mail.contexts import STEMS
from congvan.rules import labels, protocol
from congvan.rules.protocol import (
    FINAL,
    TRANSITIONS,
    Event,
    Fact,
    State,
    advance,
    answered,
    reached,
    releases,
    says_nothing_new,
    settled,
    settling_states,
)
from congvan.rules.records import Release, Settles
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "protocol.md").read_text("utf-8")
ARROW = re.compile(r"^\s+([A-Z_]+) --> ([A-Z_]+): (\S+)$", re.MULTILINE)
ANSWERS = (Event.ACKNOWLEDGED, Event.STARTED, Event.FORWARDED, Event.COMPLETED)
S = State


def section(title: str) -> str:
    """The part of the page below a heading."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"docs/protocol.md has no section «{title}»"
    return found[1]


def rows(title: str) -> list[list[str]]:
    """The table of a section, without its heading."""
    lines = [line for line in section(title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


DRAWN = {(State(a), Event(event)): State(b) for a, b, event in ARROW.findall(section("The picture"))}


# ------------------------------------------------------------------------------------ the picture and the table


def test_the_picture_draws_every_arrow_of_the_table_once_and_no_other() -> None:
    drawn = ARROW.findall(section("The picture"))
    assert len(drawn) == len(set(drawn)) == len(DRAWN), "an arrow is drawn twice"
    assert dict(TRANSITIONS) == DRAWN


def test_the_picture_begins_and_ends_where_the_table_does() -> None:
    picture = section("The picture")
    assert re.findall(r"\[\*\] --> (\w+)", picture) == ["QUEUED"]
    assert set(re.findall(r"(\w+) --> \[\*\]", picture)) == set(FINAL)


@pytest.mark.parametrize(("state", "event"), list(product(State, Event)))
def test_every_pair_moves_as_drawn_or_cannot_happen(state: State, event: Event) -> None:
    if (state, event) in DRAWN:
        assert advance(state, event) is DRAWN[state, event]
    else:
        with pytest.raises(ImpossibleMove, match=f"«{labels.EVENTS[event]}» .* «{labels.DELIVERY_STATES[state]}»"):
            advance(state, event)


def test_each_state_says_who_moves_it_on_and_what_happens_if_nobody_does() -> None:
    table = {row[0].strip("`"): row[1:] for row in rows("The states")}
    assert set(table) == set(State)
    assert all(len(row) == 3 and all(row) for row in table.values())
    assert {state for state, row in table.items() if row[1].startswith("nobody: the end")} == set(FINAL)


def test_each_state_is_called_in_vietnamese_as_the_pages_call_it() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| ([^|(]+?)(?: \([\d, ]+\))? \|", section("The states"), re.MULTILINE)
    assert dict(rows) == labels.DELIVERY_STATES


def test_everything_that_stands_in_a_log_or_leaves_by_mail_has_a_name_for_people() -> None:
    assert {*Event, *Fact} <= labels.EVENTS.keys()
    assert set(STEMS.values()) <= labels.MAIL_KINDS.keys()
    tables = "EVENTS MAIL_KINDS INCOMING OUTCOMES MAIL_STATES CASES STILL_OPEN REQUESTS ACTORS ROLES"
    for name in tables.split():
        named = getattr(labels, name)
        assert all(said and "_" not in said for said in named.values()), name


def test_what_a_letter_came_to_is_called_the_same_in_a_log_and_in_a_report() -> None:
    for event, state in ((Event.REFUSED, State.UNDELIVERABLE), (Event.REJECTED, State.REJECTED)):
        assert labels.EVENTS[event] == labels.DELIVERY_STATES[state]
        assert labels.STILL_OPEN[state.lower()] == labels.within(labels.DELIVERY_STATES[state])
    assert labels.EVENTS[Event.ARRIVED] == labels.DELIVERY_STATES[State.DELIVERED]


def test_each_event_names_the_act_that_says_it_and_the_act_is_there() -> None:
    table = {row[0].strip("`"): row[2] for row in rows("The events")}
    assert set(table) == set(Event)
    for acts in table.values():
        for name in re.findall(r"`(\w+)\.(\w+)`", acts):
            assert hasattr(importlib.import_module(f"congvan.acts.{name[0]}"), name[1]), name


def test_the_page_names_every_fact() -> None:
    assert set(re.findall(r"`([a-z_]+)`", section("The clock").partition("**Facts**")[2])) == set(Fact)


def test_the_page_says_what_settles() -> None:
    table = {row[0].strip("`"): set(re.findall(r"`(\w+)`", row[1])) for row in rows("What settles")}
    ever = {State.EXEMPT, State.WITHDRAWN}
    assert {Settles(name): states | ever for name, states in table.items()} == {
        settles: set(settling_states(settles)) for settles in Settles
    }


def test_the_page_knows_every_release() -> None:
    assert {row[0].strip("`") for row in rows("When the hop below opens")} == set(Release)


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        TRANSITIONS[State.COMPLETED, Event.SENT] = State.SENT  # type: ignore[index]


# ------------------------------------------------------------------------------------ what the table means


def test_nothing_leads_away_from_the_end() -> None:
    assert set(FINAL) == {State.EXEMPT}
    for state, event in product(FINAL, Event):
        with pytest.raises(ImpossibleMove):
            advance(state, event)


@pytest.mark.parametrize("state", [s for s in State if s not in (S.COMPLETED, S.WITHDRAWN, S.EXEMPT)])
def test_every_open_obligation_can_be_exempted_withdrawn_and_completed(state: State) -> None:
    assert advance(state, Event.EXEMPTED) is State.EXEMPT
    assert advance(state, Event.WITHDRAWN) is State.WITHDRAWN
    assert advance(state, Event.COMPLETED) is State.COMPLETED


@pytest.mark.parametrize(
    ("state", "answer"), list(product([s for s in State if s not in (S.WITHDRAWN, S.EXEMPT)], ANSWERS))
)
def test_no_answer_is_ever_turned_away_while_something_is_open(state: State, answer: Event) -> None:
    assert says_nothing_new(state, answer) or (state, answer) in TRANSITIONS


def test_every_state_is_reached_from_the_first() -> None:
    found, queue = {State.QUEUED}, deque([State.QUEUED])
    while queue:
        here = queue.popleft()
        for (start, _event), end in TRANSITIONS.items():
            if start is here and end not in found:
                found.add(end)
                queue.append(end)
    assert found == set(State)


@pytest.mark.parametrize("settles", list(Settles))
def test_no_arrow_but_a_refusal_or_another_letter_leads_out_of_a_settled_obligation(settles: Settles) -> None:
    out = {
        event for (start, event), end in TRANSITIONS.items() if settled(start, settles) and not settled(end, settles)
    }
    # Who acknowledged may still refuse: then a person decides. And another letter may take the place of this one.
    assert out <= {Event.REJECTED, Event.REPLACED}


def test_an_answer_never_takes_back_what_an_earlier_one_said() -> None:
    order = [State.ACKNOWLEDGED, State.IN_PROGRESS, State.FORWARDED, State.COMPLETED]
    for (start, event), end in TRANSITIONS.items():
        if start in order and event in ANSWERS:
            assert order.index(end) > order.index(start)


# ------------------------------------------------------------------------------------ settled, pressed twice, released


@pytest.mark.parametrize(
    ("settles", "enough"),
    [
        (Settles.ACKNOWLEDGE, {S.ACKNOWLEDGED, S.IN_PROGRESS, S.FORWARDED, S.COMPLETED}),
        (Settles.FORWARD, {S.FORWARDED, S.COMPLETED}),
        (Settles.COMPLETE, {S.COMPLETED}),
    ],
)
def test_settled_is_the_required_state_or_exempt_or_withdrawn(settles: Settles, enough: set[State]) -> None:
    assert {state for state in State if settled(state, settles)} == enough | {S.EXEMPT, S.WITHDRAWN}
    assert settling_states(settles) == enough | {S.EXEMPT, S.WITHDRAWN}


def test_a_refusal_and_a_dead_mailbox_settle_nothing() -> None:
    for state, settles in product((S.REJECTED, S.UNDELIVERABLE), Settles):
        assert not settled(state, settles)


NOTHING_NEW = {
    Event.ACKNOWLEDGED: {S.ACKNOWLEDGED, S.IN_PROGRESS, S.FORWARDED, S.COMPLETED},
    Event.STARTED: {S.IN_PROGRESS, S.FORWARDED, S.COMPLETED},
    Event.FORWARDED: {S.FORWARDED, S.COMPLETED},
    Event.COMPLETED: {S.COMPLETED},
}


@pytest.mark.parametrize(("state", "event"), list(product(State, Event)))
def test_pressing_twice_or_a_step_back_says_nothing_new(state: State, event: Event) -> None:
    assert says_nothing_new(state, event) == (state in NOTHING_NEW.get(event, set()))


def test_what_says_nothing_new_is_exactly_what_the_table_leaves_out_after_an_answer() -> None:
    for state, event in product((S.ACKNOWLEDGED, S.IN_PROGRESS, S.FORWARDED, S.COMPLETED), ANSWERS):
        assert says_nothing_new(state, event) != ((state, event) in TRANSITIONS)


def opens(release: Release, state: State, *, authority: bool, past_due: bool) -> bool:
    """The rule of DESIGN section 4 once more, written the long way round."""
    if state in (S.WITHDRAWN, S.EXEMPT):
        return False
    passed_on = state in (S.FORWARDED, S.COMPLETED)
    said_yes = passed_on or state in (S.ACKNOWLEDGED, S.IN_PROGRESS)
    return {
        Release.ON_FORWARD: passed_on,
        Release.ON_ACKNOWLEDGE: passed_on or (said_yes and authority),
        Release.AT_ONCE: True,
        Release.AT_DEADLINE: passed_on or past_due,
    }[release]


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("release", list(Release))
def test_the_hop_below_opens_as_its_release_says(release: Release, state: State) -> None:
    for authority, past_due in product((False, True), repeat=2):
        got = releases(release, state, authority=authority, past_due=past_due)
        assert got == opens(release, state, authority=authority, past_due=past_due), (authority, past_due)


def test_a_company_that_only_acknowledged_opens_nothing_without_a_standing_authority() -> None:
    said = {"past_due": True}
    assert not releases(Release.ON_ACKNOWLEDGE, S.ACKNOWLEDGED, authority=False, **said)
    assert releases(Release.ON_ACKNOWLEDGE, S.ACKNOWLEDGED, authority=True, **said)
    assert not releases(Release.ON_FORWARD, S.ACKNOWLEDGED, authority=True, **said)


def test_who_is_reached_and_who_has_answered() -> None:
    assert {state for state in State if not reached(state)} == {S.QUEUED, S.UNDELIVERABLE, S.WITHDRAWN, S.EXEMPT}
    assert {state for state in State if answered(state)} == {S.ACKNOWLEDGED, S.IN_PROGRESS, S.FORWARDED, S.COMPLETED}


def test_facts_and_events_do_not_share_a_name_that_would_confuse_the_log() -> None:
    assert set(Event).isdisjoint(set(Fact))
    assert protocol.State.QUEUED.value == "QUEUED"
