"""Whose term it is: more time for one is his alone, more time for all is everybody's, each level has its own."""

from __future__ import annotations

from congvan.acts import calendars, extending, joining, letters, registry
from congvan.rules.records import Policy
from congvan.store.tables import EventRow, Letter
from tests.conftest import at, text_of
from tests.protocol.test_stories_calendar import FIFTH
from tests.protocol.test_stories_changes import BY, replaced
from tests.protocol.test_stories_pauses import going_on, stopped
from tests.protocol.world import Town, address, newcomer, register

SEVERAL = {
    "investor": Policy.model_validate({"deadline": {"working_days": 3}, "settles": "forward"}),
    "tenant": Policy.model_validate({"deadline": {"working_days": 7}}),
}


async def several(town: Town) -> None:
    """The Board's letter of Friday 01/12 names a date for each level: investors 06/12, units 08/12, tenants 12/12."""
    await town.launch(policies=SEVERAL)
    await town.work()
    await town.say("BQL")
    await town.work()


async def more_time(town: Town, code: str, day: str) -> None:
    """This one alone may answer until then."""
    await extending.extend(town.house, (await town.delivery(code)).id, at(day, "17:00"), BY, "nhân sự nghỉ phép")


# ------------------------------------------------------------------------------------ his alone


async def test_a_replacement_keeps_more_time_to_whom_it_was_given(opened: Town) -> None:
    await more_time(opened, "VP", "2024-01-31")
    await opened.until("2023-12-05", "09:00")
    await replaced(opened)
    await opened.pass_on("INV-A")
    await opened.work()
    assert (await opened.delivery("VP")).due_at == at("2024-01-31", "17:00")
    assert (await opened.delivery("T1")).due_at == at("2023-12-12", "17:00")
    assert "31/01/2024" not in (await opened.letter("INV-A")).html


async def test_another_calendar_keeps_more_time_to_whom_it_was_given(opened: Town) -> None:
    await more_time(opened, "VP", "2024-01-29")
    await calendars.apply(opened.house, FIFTH, BY)
    await opened.pass_on("INV-A")
    await opened.work()
    assert (await opened.delivery("INV-B")).due_at == at("2023-12-11", "17:00")
    assert (await opened.delivery("T1")).due_at == at("2023-12-11", "17:00")


# ------------------------------------------------------------------------------------ everybody's


async def test_more_time_for_all_holds_where_the_letter_names_several_dates(town: Town) -> None:
    await several(town)
    await extending.extend_many(town.house, "8184", at("2023-12-29", "17:00"), BY, "bão số 5")
    await town.until("2023-12-05", "09:00")
    await town.pass_on("INV-A")
    await town.work()
    assert (await town.delivery("T1")).due_at == (await town.delivery("T-OUT")).due_at == at("2023-12-29", "17:00")


async def test_a_pause_holds_for_what_is_passed_on_after_it_where_the_letter_names_several_dates(town: Town) -> None:
    await several(town)
    await stopped(town, "2023-12-01")
    await going_on(town, "2023-12-06", "08:00")
    await town.pass_on("INV-A")
    await town.work()
    assert (await town.delivery("T1")).due_at == (await town.delivery("T-OUT")).due_at == at("2023-12-15", "17:00")


# ------------------------------------------------------------------------------------ each level's own


async def test_who_joins_gets_the_date_that_the_letter_names_for_its_level(town: Town) -> None:
    await several(town)
    await newcomer(town, "TRUNG-TAM", "unit", parent="BQL")
    joined = await joining.join(town.house, "8184", "TRUNG-TAM", BY)
    assert joined.due_at == (await town.delivery("VP")).due_at == at("2023-12-08", "17:00")


# ------------------------------------------------------------------------------------ the report


async def test_a_report_whose_addressee_has_no_mailbox_any_more_is_told_of_to_the_unit_in_charge(
    outside: Town,
) -> None:
    await outside.until("2023-12-22", "09:00")
    await registry.take_over(outside.house, register(UBND_HP={"contacts": ()}))
    (report,) = await outside.all(Letter, Letter.kind == "report")
    await letters.play_issue(outside.house, report.id, "Văn thư")
    await outside.work()
    assert await outside.diary("report") == []
    assert (await outside.diary("notice")) == ["22/12 09:00 QHXD notice"]
    said = text_of(outside.postbox.to(address("QHXD"))[-1])
    assert "có báo cáo đã ban hành mà chưa gửi đi" in said.lower()
    assert "không còn hộp thư nào của Tổ chức UBND-HP" in said
    assert "http://127.0.0.1:4280/office/c/8184" in said.split()
    kinds = {event.kind for event in await outside.all(EventRow, EventRow.stream == outside.campaign)}
    assert "letter_issued" in kinds
    assert "reported" not in kinds, "nothing was sent"
