"""The calendar changes while letters run: open deadlines are listed, then moved in one act, and an event says so."""

from __future__ import annotations

from datetime import date

import pytest

from congvan.acts import calendars, extending
from congvan.acts.calendars import reckoned_anew
from congvan.almanac import CalendarFile, Correction, build, read_calendar_file
from congvan.errors import ActRefused
from congvan.rules.records import Changes, Deadline
from congvan.store.tables import EventRow
from tests.conftest import ROOT, at, text_of
from tests.protocol.world import Town, address, to

SHIPPED = read_calendar_file(ROOT / "config" / "calendar.yaml")
BY = "Lê Văn Mẫu"
DECISION = "Thông báo 99/TB-VPCP hoán đổi ngày 05/12/2023"


def with_days(*days: Correction) -> CalendarFile:
    """The shipped calendar with more corrections."""
    return SHIPPED.model_copy(update={"corrections": (*SHIPPED.corrections, *days)})


def off(day: date, calendar: str = "both") -> Correction:
    """A day that is not worked any more."""
    return Correction.model_validate(
        {"date": day, "kind": "off", "calendar": calendar, "decision": DECISION, "recorded_on": "2023-12-01"}
    )


FIFTH = with_days(off(date(2023, 12, 5)))


async def test_open_deadlines_are_listed_before_they_are_moved(opened: Town) -> None:
    await opened.say("T-OUT")
    listed = await calendars.apply(opened.house, FIFTH, BY, dry_run=True)
    assert [(one.code, one.old, one.new) for one in listed.moved] == [
        (f"8184-{code}", at("2023-12-08", "17:00"), at("2023-12-11", "17:00")) for code in ("INV-A", "INV-B", "VP")
    ], "who has answered keeps his date"
    assert (await opened.delivery("VP")).due_at == at("2023-12-08", "17:00"), "a dry run writes nothing"
    done = await calendars.apply(opened.house, FIFTH, BY)
    assert done.moved == listed.moved
    assert (await opened.delivery("VP")).due_at == at("2023-12-11", "17:00")
    assert not (await calendars.apply(opened.house, FIFTH, BY)).changed, "applied once"


async def test_each_that_moves_has_an_event_with_the_decision(opened: Town) -> None:
    await calendars.apply(opened.house, FIFTH, BY)
    row = await opened.delivery("VP")
    (moved,) = await opened.all(EventRow, EventRow.stream == row.id, EventRow.kind == "moved")
    assert moved.actor == BY
    assert moved.data == {
        "from": at("2023-12-08", "17:00").isoformat(), "to": at("2023-12-11", "17:00").isoformat(),
        "why": "calendar", "decision": DECISION,
    }  # fmt: skip


async def test_those_concerned_are_told_where_the_plan_says_so(town: Town) -> None:
    await town.launch(audience=to("T-OUT"), changes=Changes(tell_of_calendar=True))
    await town.work()
    await town.say("BQL")
    await town.work()
    done = await calendars.apply(town.house, FIFTH, BY)
    await town.work()
    assert done.told == 1
    assert await town.diary("extension") == ["01/12 08:00 T-OUT extension"]
    body = text_of(town.postbox.to(address("T-OUT"))[-1])
    assert DECISION in body


async def test_nobody_is_told_where_the_plan_does_not_say_so(opened: Town) -> None:
    assert (await calendars.apply(opened.house, FIFTH, BY)).told == 0
    await opened.work()
    assert await opened.diary("extension") == []


async def test_a_deadline_that_was_told_never_moves_earlier(opened: Town) -> None:
    await calendars.apply(opened.house, FIFTH, BY)
    back = await calendars.apply(opened.house, SHIPPED, BY)
    assert {one.kept for one in back.moved} == {True}
    assert (await opened.delivery("VP")).due_at == at("2023-12-11", "17:00")


async def test_a_term_that_was_reckoned_with_the_new_file_already_does_not_move_again(town: Town) -> None:
    await town.launch()
    town.house.calendars = build(FIFTH)  # a restart has read the file before anybody applied it
    await town.work()
    await town.say("BQL")
    await town.until("2023-12-04", "09:00")
    await town.pass_on("INV-A")
    await town.work()
    open_ones = [await town.delivery(code) for code in ("INV-B", "T-OUT", "VP", "T1")]
    assert {row.due_at for row in open_ones} == {at("2023-12-11", "17:00")}
    done = await calendars.apply(town.house, FIFTH, BY)
    assert (done.changed, done.moved) == (True, ())


async def test_those_below_an_investor_move_with_the_date_of_the_letter_above(opened: Town) -> None:
    await opened.until("2023-12-04", "09:00")
    await opened.pass_on("INV-A")
    await opened.work()
    assert (await opened.delivery("T1")).due_at == at("2023-12-08", "17:00")
    await calendars.apply(opened.house, FIFTH, BY)
    assert (await opened.delivery("T1")).due_at == at("2023-12-11", "17:00")


async def test_an_extension_to_a_named_day_stands_unless_it_is_a_day_off_now(opened: Town) -> None:
    row = await opened.delivery("VP")
    await extending.extend(opened.house, row.id, at("2023-12-13", "10:00"), "QHXD", "theo đề nghị")
    await calendars.apply(opened.house, with_days(off(date(2023, 12, 13))), BY)
    assert (await opened.delivery("VP")).due_at == at("2023-12-14", "10:00")


async def test_it_is_applied_by_a_named_person(opened: Town) -> None:
    with pytest.raises(ActRefused, match="họ tên"):
        await calendars.apply(opened.house, FIFTH, " ")


def test_a_term_that_ends_in_a_year_not_yet_announced_is_provisional() -> None:
    assert calendars.is_provisional(date(2027, 2, 12), SHIPPED)
    assert not calendars.is_provisional(date(2026, 12, 31), SHIPPED)


def test_a_term_over_the_swapped_days_of_january_2026_is_the_one_that_was_announced() -> None:
    # Deadlines that were reckoned before the decision of 25/12/2025 was recorded, and after.
    old, new = build(CalendarFile()), build(SHIPPED)
    due, start = at("2026-01-07", "17:00"), at("2025-12-30", "09:00")
    term = Deadline(working_days=5, calendar="state")
    assert reckoned_anew(due, start, term, old, new) == at("2026-01-08", "17:00")


async def test_a_reminder_counts_the_days_on_which_its_reader_works(town: Town) -> None:
    town.clock.set(at("2024-04-26"))
    await town.launch(audience=to("T-OUT"))
    await town.work()
    await town.say("BQL")
    await town.until("2024-05-03", "09:00")
    assert (await town.delivery("T-OUT")).due_at == at("2024-05-07", "17:00")
    mail = town.postbox.to(address("T-OUT"))[-1]
    said = text_of(mail)
    assert "Còn 02 ngày làm việc" in said, "the make-up Saturday of 04/5 is the State's alone"
