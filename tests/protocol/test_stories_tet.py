"""Tết Giáp Thìn 2024 day by day, as a calendar: what was sent to whom; and an engine that stood still over it.

Tết is on 10/2/2024. State offices are closed 8–14/2; the quiet window of config/calendar.yaml is 5–15/2
(26 tháng Chạp to mùng 6): routine reminders are held in it, first letters leave on its working days.
"""

from __future__ import annotations

from typing import Any

import pytest

from congvan.rules.calendar import local
from congvan.rules.records import Deadline, Policy, Release, Reminder, Urgency
from congvan.store.tables import Delivery
from tests.conftest import at
from tests.protocol.world import Town, to

#: Day → what leaves: to whom, which mail. Days that are not named are silent.
ROUTINE = {
    "Thứ Sáu 02/02": ["T-OUT letter"],
    # 05/02–15/02: the quiet window. The term is five working days: 5, 6, 7, 15 and 16/2.
    "Thứ Sáu 16/02": ["T-OUT reminder"],  # "two days before" (07/02) and "on the day" go out as one
    "Thứ Hai 19/02": ["T-OUT overdue"],
    "Thứ Ba 20/02": ["QHXD digest", "T-OUT urge"],
    "Thứ Sáu 23/02": ["PTB digest"],
    "Thứ Hai 26/02": ["T-OUT urge"],
}
LATE_LETTER = {
    # Issued in the quiet window, on its last working day before Tết: a first letter is not held.
    "Thứ Tư 07/02": ["T-OUT letter"],
    # The term of three working days: 15, 16 and 19/2.
    "Thứ Hai 19/02": ["T-OUT reminder"],
    "Thứ Ba 20/02": ["T-OUT overdue"],
    "Thứ Tư 21/02": ["QHXD digest", "T-OUT urge"],
    "Thứ Hai 26/02": ["PTB digest"],
    "Thứ Ba 27/02": ["T-OUT urge"],
}
KHAN = {
    # Mùng 1 Tết, 10/02: khẩn leaves at once, reminds and is told of at once.
    "Thứ Bảy 10/02": ["T-OUT letter", "T-OUT reminder", "QHXD digest", "T-OUT urge"],
}
WEEKDAYS = ("Thứ Hai", "Thứ Ba", "Thứ Tư", "Thứ Năm", "Thứ Sáu", "Thứ Bảy", "Chủ nhật")


async def calendar_of(town: Town, *whom: str) -> dict[str, list[str]]:
    """What left for these, by day, as one would write it on the wall."""
    found: dict[str, list[str]] = {}
    for line in await town.diary(to=whom):
        day, _hour, code, kind = line.split()
        if kind == "copy":
            continue
        number, month = (int(part) for part in day.split("/"))
        weekday = WEEKDAYS[local(at(f"2024-{month:02}-{number:02}")).weekday()]
        found.setdefault(f"{weekday} {day}", []).append(f"{code} {kind}")
    return found


async def sent_out(town: Town, day: str, hour: str = "08:00", **changes: Any) -> None:
    """The Board's letter to one tenant goes out."""
    town.clock.set(at(day, hour))
    await town.launch(audience=to("T-OUT"), **changes)
    await town.work()
    await town.say("BQL")
    await town.work()


def term(working_days: int) -> dict[str, Policy]:
    """The tenant's term."""
    return {"tenant": Policy(deadline=Deadline(working_days=working_days))}


async def test_a_routine_campaign_over_tet_holds_its_reminders_and_sends_one_on_the_first_working_day_after_it(
    town: Town,
) -> None:
    await sent_out(town, "2024-02-02")
    await town.until("2024-02-29")
    assert (await town.delivery("T-OUT")).due_at == at("2024-02-16", "17:00")
    assert await calendar_of(town, "T-OUT", "QHXD", "PTB") == ROUTINE


async def test_what_was_held_leaves_at_the_opening_of_the_office_on_the_16th(town: Town) -> None:
    await sent_out(town, "2024-02-02")
    await town.until("2024-02-29")
    assert (await town.diary("reminder")) == ["16/02 07:30 T-OUT reminder"]


async def test_a_first_letter_leaves_on_a_working_day_of_the_quiet_window(town: Town) -> None:
    await sent_out(town, "2024-02-07", policies=term(3))
    await town.until("2024-02-29")
    assert await calendar_of(town, "T-OUT", "QHXD", "PTB") == LATE_LETTER


async def test_a_first_letter_that_is_ready_on_a_day_off_waits_for_the_15th(town: Town) -> None:
    await sent_out(town, "2024-02-10", "09:00")
    await town.until("2024-02-15", "18:00")
    assert await calendar_of(town, "T-OUT") == {"Thứ Năm 15/02": ["T-OUT letter"]}


async def test_khan_leaves_at_once_on_the_first_day_of_tet(town: Town) -> None:
    storm = Policy(
        deadline=Deadline(working_days=0, hours=6, minimum_hours=1), reminders=(Reminder(hours=-1),),
        grace_working_days=0, grace_hours=1, release=Release.ON_ACKNOWLEDGE,
    )  # fmt: skip
    policies = dict.fromkeys(("board", "investor", "tenant"), storm)
    await sent_out(town, "2024-02-10", "06:00", urgency=Urgency.URGENT, policies=policies)
    await town.until("2024-02-10", "23:59")
    assert await calendar_of(town, "T-OUT", "QHXD") == KHAN


async def test_the_evaluation_goes_on_in_the_quiet_window_and_only_the_mail_is_held(town: Town) -> None:
    await sent_out(town, "2024-01-29")
    await town.until("2024-02-15", "23:59")
    row: Delivery = await town.delivery("T-OUT")
    # Due on 5/2 in the window, escalated after its grace on 6/2, told of on the next working morning.
    assert (row.due_at, row.escalated_at) == (at("2024-02-05", "17:00"), at("2024-02-06", "17:00"))
    assert await calendar_of(town, "T-OUT", "QHXD") == {
        "Thứ Hai 29/01": ["T-OUT letter"],
        "Thứ Năm 01/02": ["T-OUT reminder"],
        "Thứ Tư 07/02": ["QHXD digest", "T-OUT urge"],
    }


# ------------------------------------------------------------------------------------ an engine that stood still


async def down_until(town: Town, day: str, hour: str) -> None:
    """Nothing runs until then; then everything that has become due is done."""
    town.clock.set(at(day, hour))
    await town.work()


async def test_after_three_working_days_off_each_organisation_gets_at_most_one_mail(opened: Town) -> None:
    await opened.pass_on("INV-A")
    await opened.until("2023-12-05", "18:00")
    before = await opened.diary()
    # The reminders of the 6th and of the 8th have come and gone.
    await down_until(opened, "2023-12-08", "10:00")
    caught_up = [line.split()[2] for line in (await opened.diary())[len(before) :]]
    assert sorted(caught_up) == ["INV-B", "T-BOTH", "T-CHEM", "T-OUT", "T1", "T2", "VP"]


async def test_after_an_outage_over_the_deadline_and_the_grace_one_mail_tells_the_department_of_everybody(
    opened: Town,
) -> None:
    await opened.until("2023-12-07", "18:00")
    before = await opened.diary()
    await down_until(opened, "2023-12-13", "09:00")
    await opened.until("2023-12-14", "18:00")
    lines = (await opened.diary())[len(before) :]
    assert [line for line in lines if "QHXD" in line] == ["14/12 08:00 QHXD digest"]
    heard = [line.split()[2] for line in lines]
    assert max(heard.count(code) for code in set(heard)) == 1, lines


@pytest.mark.parametrize("back", ["2024-02-15", "2024-02-16"])
async def test_an_engine_that_was_off_over_tet_sends_each_organisation_at_most_one_mail_on_the_16th(
    town: Town, back: str
) -> None:
    await sent_out(town, "2024-02-02")
    await down_until(town, back, "08:00")
    await town.until("2024-02-16", "18:00")
    assert await calendar_of(town, "T-OUT", "QHXD") == {
        "Thứ Sáu 02/02": ["T-OUT letter"],
        "Thứ Sáu 16/02": ["T-OUT reminder"],
    }


async def test_a_reminder_that_never_left_before_the_outage_is_not_sent_beside_the_next_one(outside: Town) -> None:
    await outside.until("2023-12-05", "23:00")
    # The reminder is written down and the engine stops before it is sent.
    from congvan.acts import hops

    outside.clock.set(at("2023-12-06", "08:00"))
    lease = await hops.turn(outside.house, (await outside.hop("BQL")).id)
    assert lease is not None
    await hops.release(outside.house, lease)
    await down_until(outside, "2023-12-11", "10:00")
    assert (await outside.diary())[-1:] == ["11/12 10:00 T-OUT overdue"]
    assert await outside.diary("reminder") == []
