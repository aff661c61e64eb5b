"""What is due for a delivery and when: deadlines, reminders, escalation, against a clerk who looks every minute."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from congvan.almanac import build, read_calendar_file
from congvan.rules.calendar import instant, local
from congvan.rules.deadlines import (
    Standing,
    Step,
    after,
    days,
    due,
    due_at,
    escalates_at,
    personal_due_at,
    reminder_at,
    working_days_late,
)
from congvan.rules.protocol import State, settled
from congvan.rules.records import Deadline, Policy, Reminder, Settles
from tests.conftest import ROOT, at
from tests.protocol import oracle

SHIPPED = build(read_calendar_file(ROOT / "config" / "calendar.yaml"))
FIVE_DAYS = Deadline(working_days=5)
POLICY = Policy()
HOURS = Policy(
    deadline=Deadline(working_days=0, hours=6, minimum_hours=2),
    reminders=(Reminder(hours=-3), Reminder(hours=-1), Reminder(hours=0)),
    grace_working_days=0,
    grace_hours=1,
)
#: The letter of 01/12/2023, due on Friday 08/12 at 17:00.
DUE = at("2023-12-08", "17:00")
SENT = Standing(State.SENT, Settles.ACKNOWLEDGE, DUE, at("2023-12-01", "09:00"), 0, False)


# ------------------------------------------------------------------------------------ the deadline


@pytest.mark.parametrize(
    ("issued", "days_", "calendar", "due_"),
    [
        ("2023-11-29", 5, "state", "2023-12-06"),
        ("2023-12-01", 5, "both", "2023-12-08"),
        ("2023-12-28", 5, "state", "2024-01-05"),
        ("2024-02-06", 5, "both", "2024-02-20"),
        ("2024-04-26", 3, "both", "2024-05-06"),
        ("2024-04-26", 3, "state", "2024-05-04"),
        ("2026-08-20", 3, "state", "2026-08-24"),
        ("2026-08-20", 5, "both", "2026-08-26"),
        ("2025-12-30", 5, "state", "2026-01-08"),
        ("2026-01-07", 3, "state", "2026-01-10"),
        ("2026-11-20", 3, "state", "2026-11-26"),
    ],
)
def test_the_deadline_is_five_in_the_afternoon_of_the_last_day(
    issued: str, days_: int, calendar: str, due_: str
) -> None:
    deadline = Deadline(working_days=days_, calendar=calendar)  # type: ignore[arg-type]
    for hour in ("00:00", "08:15", "23:59"):
        assert due_at(deadline, at(issued, hour), SHIPPED) == at(due_, "17:00")


def test_hours_run_on_the_clock_over_night_and_holiday() -> None:
    assert due_at(HOURS.deadline, at("2024-02-09", "22:00"), SHIPPED) == at("2024-02-10", "04:00")


def test_a_term_begins_on_the_day_in_vietnam_and_not_on_the_day_in_greenwich() -> None:
    issued = instant(date(2023, 12, 4), time(0, 30))
    assert issued.date() == date(2023, 12, 3), "still Sunday in Greenwich"
    assert due_at(Deadline(working_days=1), issued, SHIPPED) == at("2023-12-05", "17:00")


@settings(max_examples=150, deadline=None)
@given(
    oracle.moments(date(2020, 3, 1), date(2030, 6, 1)),
    st.integers(0, 40),
    st.sampled_from(["state", "enterprise", "both"]),
)
def test_deadlines_fall_where_the_oracle_counts_them(issued: datetime, count: int, calendar: str) -> None:
    deadline = Deadline(working_days=count, calendar=calendar)  # type: ignore[arg-type]
    last = oracle.term(local(issued).date(), count, calendar)
    if instant(last, time(17)) <= issued:
        last = oracle.term(local(issued).date(), 1, calendar)
    assert due_at(deadline, issued, SHIPPED) == instant(last, time(17))


# ------------------------------------------------------------------------------------ one's own deadline


OPENED = at("2023-12-01", "08:00")


@pytest.mark.parametrize(
    ("now", "own"),
    [
        ("2023-12-01", "2023-12-08"),  # at once: what is printed
        ("2023-12-04", "2023-12-08"),  # within the first half
        ("2023-12-05", "2023-12-08"),  # after half of it: three working days from the 5th are the 8th
        ("2023-12-06", "2023-12-11"),
        ("2023-12-08", "2023-12-13"),
        ("2023-12-20", "2023-12-25"),  # long after: its own minimum
    ],
)
def test_who_is_reached_late_gets_the_longer_of_the_printed_date_and_its_own_minimum(now: str, own: str) -> None:
    assert personal_due_at(FIVE_DAYS, DUE, OPENED, at(now, "10:00"), SHIPPED) == at(own, "17:00")


def test_half_of_the_time_is_still_in_time() -> None:
    half = OPENED + (DUE - OPENED) / 2
    assert personal_due_at(FIVE_DAYS, DUE, OPENED, half, SHIPPED) == DUE
    assert local(half).date() == date(2023, 12, 5)
    long = replace_minimum(5)
    assert personal_due_at(long, DUE, OPENED, half, SHIPPED) == DUE
    assert personal_due_at(long, DUE, OPENED, half + timedelta(seconds=1), SHIPPED) == at("2023-12-12", "17:00")


def replace_minimum(days_: int) -> Deadline:
    """Five days, and this many for who is reached late."""
    return FIVE_DAYS.model_copy(update={"minimum_working_days": days_})


def test_in_a_storm_the_minimum_is_hours() -> None:
    opened, printed = at("2024-09-05", "08:00"), at("2024-09-05", "14:00")
    assert personal_due_at(HOURS.deadline, printed, opened, at("2024-09-05", "10:00"), SHIPPED) == printed
    assert personal_due_at(HOURS.deadline, printed, opened, at("2024-09-05", "13:00"), SHIPPED) == at(
        "2024-09-05", "15:00"
    )
    assert personal_due_at(HOURS.deadline, printed, opened, at("2024-09-05", "11:30"), SHIPPED) == printed


def test_a_minimum_of_hours_goes_before_a_minimum_of_days() -> None:
    hasty = FIVE_DAYS.model_copy(update={"minimum_hours": 4})
    assert personal_due_at(hasty, DUE, OPENED, at("2023-12-08", "16:00"), SHIPPED) == at("2023-12-08", "20:00")


@pytest.mark.parametrize(("hour", "own"), [("16:59", "2023-12-08"), ("17:00", "2023-12-11"), ("18:00", "2023-12-11")])
def test_a_term_of_no_day_whose_hour_has_passed_ends_on_the_next_working_day(hour: str, own: str) -> None:
    now = at("2023-12-08", hour)
    assert due_at(Deadline(working_days=0), now, SHIPPED) == at(own, "17:00")
    assert personal_due_at(replace_minimum(0), OPENED, OPENED - timedelta(days=5), now, SHIPPED) == at(own, "17:00")


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 30 * 24 * 60), st.integers(0, 10))
def test_ones_own_deadline_is_never_earlier_than_the_printed_one(minutes: int, least: int) -> None:
    own = personal_due_at(replace_minimum(least), DUE, OPENED, OPENED + timedelta(minutes=minutes), SHIPPED)
    assert own >= DUE


# ------------------------------------------------------------------------------------ reminders


def test_reminders_stand_two_working_days_before_on_the_day_and_one_after() -> None:
    assert [reminder_at(step, DUE, SHIPPED) for step in POLICY.reminders] == [
        at("2023-12-06"), at("2023-12-08"), at("2023-12-11"),
    ]  # fmt: skip


def test_reminders_count_days_on_which_both_work() -> None:
    # Due on Monday 06/5/2024: the make-up Saturday before it is no working day of an enterprise.
    steps = [reminder_at(step, at("2024-05-06", "17:00"), SHIPPED) for step in POLICY.reminders]
    assert steps == [at("2024-05-02"), at("2024-05-06"), at("2024-05-07")]


def test_reminders_by_the_hour_stand_around_the_instant() -> None:
    storm = at("2024-09-05", "14:00")
    assert [reminder_at(step, storm, SHIPPED) for step in HOURS.reminders] == [
        at("2024-09-05", "11:00"), at("2024-09-05", "13:00"), storm,
    ]  # fmt: skip


def play(
    standing: Standing, policy: Policy, start: datetime, end: datetime, *, urgent: bool = False
) -> list[tuple[datetime, Step]]:
    """Wake exactly when the verdict says so, and do as it says."""
    done, now = [], start
    for _ in range(50):
        verdict = due(standing, policy, SHIPPED, now, urgent=urgent)
        if verdict.step is not None:
            done.append((now, verdict.step))
        escalated = standing.escalated or verdict.step is Step.ESCALATE
        standing = replace(standing, steps_taken=verdict.steps_taken, escalated=escalated)
        if verdict.next_at is None or verdict.next_at > end:
            return done
        assert verdict.next_at > now, "a wake that lies in the past would spin"
        now = verdict.next_at
    raise AssertionError("it never comes to rest")


END = at("2024-06-30")


def test_silence_is_reminded_three_times_and_escalated_once() -> None:
    assert play(SENT, POLICY, SENT.sent_at or OPENED, END) == [
        (at("2023-12-06"), Step.REMIND),
        (at("2023-12-08"), Step.REMIND),
        (at("2023-12-11"), Step.REMIND),
        (at("2023-12-11", "17:00"), Step.ESCALATE),
    ]


@pytest.mark.parametrize("steps", list(permutations(POLICY.reminders)))
def test_reminders_come_in_the_order_of_their_time_however_they_are_written(steps: tuple[Reminder, ...]) -> None:
    policy = POLICY.model_copy(update={"reminders": steps})
    assert play(SENT, policy, SENT.sent_at or OPENED, END) == play(SENT, POLICY, SENT.sent_at or OPENED, END)


def test_a_step_by_the_hour_is_not_passed_over_with_one_by_the_day_that_comes_too_early() -> None:
    mixed = POLICY.model_copy(update={"reminders": (Reminder(hours=-40), Reminder(working_days=-1, at=time(14)))})
    late_one = replace(SENT, sent_at=at("2023-12-06", "15:00"))
    assert play(late_one, mixed, at("2023-12-06", "15:00"), END)[0] == (at("2023-12-07", "07:30"), Step.REMIND)


def test_missed_reminders_collapse_into_one() -> None:
    # The engine was off from the 5th to the 11th.
    assert play(SENT, POLICY, at("2023-12-11", "09:00"), END) == [
        (at("2023-12-11", "09:00"), Step.REMIND),
        (at("2023-12-11", "17:00"), Step.ESCALATE),
    ]


def test_reminders_that_would_come_before_the_letter_are_passed_over() -> None:
    late_one = replace(SENT, sent_at=at("2023-12-07", "15:00"))
    assert play(late_one, POLICY, at("2023-12-07", "15:00"), END)[0] == (at("2023-12-08"), Step.REMIND)
    assert due(late_one, POLICY, SHIPPED, at("2023-12-07", "15:00"), urgent=False).steps_taken == 1


def test_over_tet_what_was_held_goes_out_as_one_mail_on_the_first_working_morning_after_it() -> None:
    # Due Tuesday 06/02/2024: two days before is Friday 02/02; the day itself and the day after are held.
    tet = Standing(State.SENT, Settles.ACKNOWLEDGE, at("2024-02-06", "17:00"), at("2024-01-30"), 0, False)
    patient = POLICY.model_copy(update={"grace_working_days": 10})
    assert play(tet, patient, at("2024-01-30"), END) == [
        (at("2024-02-02"), Step.REMIND),
        (at("2024-02-16", "07:30"), Step.REMIND),
        (at("2024-02-27", "17:00"), Step.ESCALATE),
    ]


def test_quiet_hours_hold_the_mail_and_never_the_evaluation() -> None:
    # The grace ends on the 7th, within the quiet window: the department is told on time.
    tet = Standing(State.SENT, Settles.ACKNOWLEDGE, at("2024-02-06", "17:00"), at("2024-01-30"), 0, False)
    assert play(tet, POLICY, at("2024-01-30"), END) == [
        (at("2024-02-02"), Step.REMIND),
        (at("2024-02-07", "17:00"), Step.ESCALATE),
    ]


def test_outside_office_hours_a_reminder_waits_for_the_next_opening() -> None:
    evening = POLICY.model_copy(update={"reminders": (Reminder(working_days=-2, at=time(20)),)})
    assert play(SENT, evening, OPENED, END)[0] == (at("2023-12-07", "07:30"), Step.REMIND)


def test_urgent_reminders_pass_night_and_tet() -> None:
    storm = Standing(State.SENT, Settles.ACKNOWLEDGE, at("2024-02-10", "04:00"), at("2024-02-09", "22:00"), 0, False)
    assert play(storm, HOURS, at("2024-02-09", "22:00"), END, urgent=True) == [
        (at("2024-02-10", "01:00"), Step.REMIND),
        (at("2024-02-10", "03:00"), Step.REMIND),
        (at("2024-02-10", "04:00"), Step.REMIND),
        (at("2024-02-10", "05:00"), Step.ESCALATE),
    ]
    # The same by ordinary post is held, and the escalation comes first.
    assert play(storm, HOURS, at("2024-02-09", "22:00"), END) == [(at("2024-02-10", "05:00"), Step.ESCALATE)]


# ------------------------------------------------------------------------------------ nothing is due


@pytest.mark.parametrize("settles", list(Settles))
@pytest.mark.parametrize("state", list(State))
def test_nothing_is_due_of_who_has_settled_refused_or_cannot_be_reached(state: State, settles: Settles) -> None:
    verdict = due(replace(SENT, state=state, settles=settles), POLICY, SHIPPED, at("2023-12-20"), urgent=False)
    idle = settled(state, settles) or state in (State.REJECTED, State.UNDELIVERABLE)
    assert (verdict.step is None) == idle
    assert (verdict.next_at is None) is True


def test_what_never_left_is_not_reminded_but_somebody_is_told() -> None:
    waiting = replace(SENT, state=State.QUEUED, sent_at=None)
    assert play(waiting, POLICY, OPENED, END) == [(at("2023-12-11", "17:00"), Step.ESCALATE)]


def test_who_answered_a_letter_that_never_left_is_not_reminded_by_mail() -> None:
    # The telephone was quicker: no mailbox of theirs has proved to work.
    by_phone = replace(SENT, state=State.ACKNOWLEDGED, settles=Settles.FORWARD, sent_at=None)
    assert play(by_phone, POLICY, OPENED, END) == [(at("2023-12-11", "17:00"), Step.ESCALATE)]


def test_who_was_escalated_is_left_to_people() -> None:
    assert play(replace(SENT, escalated=True), POLICY, OPENED, END) == []


def test_an_acknowledged_investor_is_reminded_to_pass_on() -> None:
    investor = replace(SENT, state=State.ACKNOWLEDGED, settles=Settles.FORWARD)
    assert [step for _, step in play(investor, POLICY, OPENED, END)] == [Step.REMIND] * 3 + [Step.ESCALATE]


# ------------------------------------------------------------------------------------ escalation


@pytest.mark.parametrize(
    ("due_", "grace", "told"),
    [
        (DUE, 1, at("2023-12-11", "17:00")),
        (DUE, 0, DUE),
        (at("2024-02-07", "17:00"), 1, at("2024-02-15", "17:00")),  # Tết: the 8th to the 14th
    ],
)
def test_escalation_stands_at_deadline_and_grace(due_: datetime, grace: int, told: datetime) -> None:
    policy = POLICY.model_copy(update={"grace_working_days": grace})
    assert escalates_at(policy, due_, SHIPPED) == told


def test_grace_counts_the_make_up_saturday_on_which_the_department_works() -> None:
    once = POLICY.model_copy(update={"reminders": (Reminder(working_days=0),)})
    assert escalates_at(once, at("2024-05-03", "17:00"), SHIPPED) == at("2024-05-04", "17:00")


def test_around_a_make_up_saturday_the_overdue_reminder_still_comes_before_the_escalation() -> None:
    # The department works on Saturday 22/08/2026, the enterprises do not.
    friday = Standing(State.SENT, Settles.ACKNOWLEDGE, at("2026-08-21", "17:00"), at("2026-08-14"), 0, False)
    assert play(friday, POLICY, at("2026-08-14"), at("2026-09-30")) == [
        (at("2026-08-19"), Step.REMIND),
        (at("2026-08-21"), Step.REMIND),
        (at("2026-08-24"), Step.REMIND),
        (at("2026-08-24", "17:00"), Step.ESCALATE),
    ]


def test_a_grace_of_hours_goes_before_a_grace_of_days() -> None:
    assert escalates_at(HOURS, DUE, SHIPPED) == DUE + timedelta(hours=1)
    assert after(DUE, 3, 2, SHIPPED) == DUE + timedelta(hours=2)
    assert after(DUE, 0, 0, SHIPPED) == DUE


@settings(max_examples=150, deadline=None)
@given(
    oracle.moments(date(2023, 1, 2), date(2026, 6, 1)),
    st.integers(0, 12),
    st.integers(0, 5),
    st.integers(-3, 40),
    st.booleans(),
)
def test_nobody_is_escalated_before_deadline_and_grace_and_nobody_is_spared_after_it(
    issued: datetime, term: int, grace: int, day: int, urgent: bool
) -> None:
    policy = Policy(deadline=Deadline(working_days=term), grace_working_days=grace)
    printed = due_at(policy.deadline, issued, SHIPPED)
    standing = Standing(State.SENT, Settles.ACKNOWLEDGE, printed, issued, 0, False)
    limit = _graced(printed, grace, "state")
    if grace and _graced(printed, 1, "both") > limit:  # the reminder of the morning after would never leave
        limit = _graced(printed, grace, "both")
    now = printed + timedelta(days=day)
    verdict = due(standing, policy, SHIPPED, now, urgent=urgent)
    assert (verdict.step is Step.ESCALATE) == (now >= instant(limit, local(printed).time()))


def _graced(printed: datetime, days_: int, calendar: str) -> date:
    day = local(printed).date()
    for _ in range(days_):
        day += oracle.DAY
        while not oracle.works(calendar, day):
            day += oracle.DAY
    return day


# ------------------------------------------------------------------------------------ the slow clerk


def clerk(standing: Standing, policy: Policy, until: datetime, *, urgent: bool) -> list[tuple[datetime, str]]:
    """Looks every quarter of an hour at the paper calendar, and does by hand what is written in DESIGN section 4."""
    assert standing.sent_at is not None
    times = [
        at
        for step in policy.reminders
        if (at := reminder_at(step, standing.due_at, SHIPPED)) > standing.sent_at
        and not (step.working_days < 0 and local(at).date() <= _working_day_after(standing.sent_at))
    ]
    limit = escalates_at(policy, standing.due_at, SHIPPED)
    now, open_ones, done = standing.sent_at, list(times), []
    while now <= until:
        if now >= limit:
            return [*done, (now, "escalate")]
        if any(one <= now for one in open_ones) and (urgent or _office(now)):
            done.append((now, "remind"))
            # One reminder a day: what is due later today goes out with it.
            open_ones = [one for one in open_ones if local(one).date() > local(now).date()]
        now += timedelta(minutes=15)
    return done


def _working_day_after(sent: datetime) -> date:
    day = local(sent).date() + oracle.DAY
    while not oracle.works("both", day):
        day += oracle.DAY
    return day


QUIET = [
    (date(2023, 1, 17), date(2023, 1, 27)),
    (date(2024, 2, 5), date(2024, 2, 15)),
    (date(2025, 1, 25), date(2025, 2, 3)),
]


def _office(now: datetime) -> bool:
    wall = local(now)
    quiet = any(first <= wall.date() <= last for first, last in QUIET)
    return oracle.works("both", wall.date()) and time(7, 30) <= wall.time() < time(17, 30) and not quiet


QUARTERS = st.integers(0, 2 * 365 * 24 * 4).map(
    lambda n: instant(date(2023, 1, 9), time(0)) + n * timedelta(minutes=15)
)
STEPS = st.lists(
    st.builds(Reminder, working_days=st.integers(-4, 3), at=st.sampled_from([time(6), time(8), time(14), time(19)])),
    max_size=4,
)


@settings(max_examples=60, deadline=None)
@given(QUARTERS, st.integers(0, 8), STEPS, st.integers(0, 3), st.booleans())
def test_the_rules_do_what_a_clerk_does_who_looks_every_quarter_of_an_hour(
    sent: datetime, term: int, steps: list[Reminder], grace: int, urgent: bool
) -> None:
    policy = Policy(
        deadline=Deadline(working_days=term), reminders=tuple(steps), grace_working_days=grace
    )
    printed = due_at(policy.deadline, sent, SHIPPED)
    standing = Standing(State.SENT, Settles.ACKNOWLEDGE, printed, sent, 0, False)
    until = escalates_at(policy, printed, SHIPPED) + timedelta(days=1)
    played = [(when, str(step)) for when, step in play(standing, policy, sent, until, urgent=urgent)]
    assert played == clerk(standing, policy, until, urgent=urgent)


# ------------------------------------------------------------------------------------ overdue in words


@pytest.mark.parametrize(
    ("now", "late"),
    [
        (DUE, 0),
        (at("2023-12-08", "17:01"), 0),
        (at("2023-12-10"), 0),
        (at("2023-12-11"), 1),
        (at("2023-12-15"), 5),
    ],
)
def test_days_late_are_working_days(now: datetime, late: int) -> None:
    assert working_days_late(DUE, now, SHIPPED) == late


def test_days_late_are_those_on_which_authority_and_company_work() -> None:
    """So the mail to a company and the digest of the authority name the same number."""
    friday, monday = at("2026-01-09", "17:00"), at("2026-01-12")  # Saturday 10/01/2026 is made up by authorities
    assert SHIPPED.state.is_working(date(2026, 1, 10))
    assert working_days_late(friday, monday, SHIPPED) == 1


def test_days_are_listed_with_both_ends() -> None:
    assert list(days(date(2024, 2, 28), date(2024, 3, 1))) == [date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1)]
