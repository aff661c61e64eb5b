"""What is due for a delivery, and when something is due next. Pure: `now` is an argument."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from math import ceil

from congvan.rules.calendar import Calendar, Calendars, instant, local
from congvan.rules.protocol import State, reached, settled
from congvan.rules.records import Deadline, Policy, Reminder, Settles

#: No term and no day of a second look lies farther ahead. A year with a slip in it passes the end of the calendar, and
#: whoever counts working days from it stops with its whole hop.
_FARTHEST = timedelta(days=5 * 366)


def too_far(at: datetime, now: datetime) -> bool:
    """Whether a term or a day of a second look lies where a slip in its year would put it."""
    return at > now + _FARTHEST


class Step(StrEnum):
    """What a woken hop does for one delivery."""

    REMIND = "remind"
    ESCALATE = "escalate"


@dataclass(frozen=True, slots=True)
class Standing:
    """What the rules need to know of a delivery. Instants are aware UTC.

    steps_taken: reminder steps already sent or passed over, in the order of their time.
    """

    state: State
    settles: Settles
    due_at: datetime
    sent_at: datetime | None
    steps_taken: int
    escalated: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is due now (None: nothing), the reminder steps it covers, and when to look again.

    next_at is None when nothing will ever become due by the clock alone.
    """

    step: Step | None
    steps_taken: int
    next_at: datetime | None


def due_at(deadline: Deadline, issued: datetime, calendars: Calendars) -> datetime:
    """The instant at which the term of a letter issued then ends.

    Hours, where set, count on the clock (hỏa tốc); otherwise working days, the day of issue not counted. A term of no
    day ends on the next one where its hour has passed.
    """
    if deadline.hours:
        return issued + timedelta(hours=deadline.hours)
    day = local(issued).date()
    end = instant(calendars.term(day, deadline.working_days, deadline.calendar), deadline.at)
    return end if end > issued else instant(calendars.term(day, 1, deadline.calendar), deadline.at)


def personal_due_at(
    deadline: Deadline, printed: datetime, opened: datetime, now: datetime, calendars: Calendars
) -> datetime:
    """The deadline of one who is reached now, where the letter prints another date.

    Whoever is reached after half of the time gets the longer of the printed date and its own minimum.
    """
    if now - opened <= (printed - opened) / 2:
        return printed
    if deadline.minimum_hours or deadline.hours:
        return max(printed, now + timedelta(hours=deadline.minimum_hours))
    least = Deadline(
        working_days=deadline.minimum_working_days, at=deadline.at, calendar=deadline.calendar
    )
    return max(printed, due_at(least, now, calendars))


def reminder_at(reminder: Reminder, due: datetime, calendars: Calendars) -> datetime:
    """The instant of one reminder step: working days around the deadline's day, or hours around it."""
    if reminder.hours is not None:
        return due + timedelta(hours=reminder.hours)
    day = local(due).date()
    if reminder.working_days:
        day = calendars.named("both").add(day, reminder.working_days)
    return instant(day, reminder.at)


def escalates_at(policy: Policy, due: datetime, calendars: Calendars) -> datetime:
    """Deadline + grace: before it nobody is told of a silence.

    Grace runs on the state's days, reminders on days on which both work. Where a make-up Saturday would bring the
    escalation before a reminder that follows the deadline, and it would never be sent, grace runs on theirs too.
    """
    limit = after(due, policy.grace_working_days, policy.grace_hours, calendars)
    overdue = [step for step in policy.reminders if step.hours is None and step.working_days > 0]
    if policy.grace_hours or all(reminder_at(step, due, calendars) < limit for step in overdue):
        return limit
    wall = local(due)
    return instant(calendars.named("both").add(wall.date(), policy.grace_working_days), wall.time())


def after(start: datetime, working_days: int, hours: int, calendars: Calendars) -> datetime:
    """That many working days (same wall-clock time), else hours, after an instant."""
    if hours:
        return start + timedelta(hours=hours)
    if not working_days:
        return start
    wall = local(start)
    return instant(calendars.state.add(wall.date(), working_days), wall.time())


def due(standing: Standing, policy: Policy, calendars: Calendars, now: datetime, *, urgent: bool) -> Verdict:
    """What is due for this delivery now, and when to look again.

    1. Settled, refused or unreachable: nothing is due by the clock.
    2. Not yet sent: nothing either, until deadline + grace, when somebody is told that it never left.
    3. Past deadline + grace: escalate, once.
    4. Reminder steps whose time has come collapse into one; one that falls outside working hours or
       into a quiet window is held to the next sending time, and then goes out as one. Nobody is reminded twice
       on one day, but for terms that run on the clock.
    """
    if settled(standing.state, standing.settles) or standing.state in (State.REJECTED, State.UNDELIVERABLE):
        return Verdict(None, standing.steps_taken, None)
    limit = escalates_at(policy, standing.due_at, calendars)
    if standing.escalated:
        return Verdict(None, standing.steps_taken, None)
    if now >= limit:
        return Verdict(Step.ESCALATE, standing.steps_taken, None)
    if not reached(standing.state) or standing.sent_at is None:
        return Verdict(None, standing.steps_taken, limit)
    # By their time, however they are written: of steps that collapse the last one counts.
    steps = sorted(policy.reminders, key=lambda step: reminder_at(step, standing.due_at, calendars))
    times = [reminder_at(step, standing.due_at, calendars) for step in steps]
    floors = [_floor(step, standing.sent_at, calendars) for step in steps]
    passed = _passed(times, floors, standing.steps_taken, now)
    if passed > standing.steps_taken:
        leaves = calendars.named("both").sending_time(now, urgent=urgent)
        if leaves <= now:
            passed = max(passed, _today(steps, times, now))
            return Verdict(Step.REMIND, passed, _next(times[passed:], limit, now))
        return Verdict(None, standing.steps_taken, min(leaves, limit))
    skipped = max(standing.steps_taken, _before(times, floors))
    return Verdict(None, skipped, _next(times[skipped:], limit, now))


def _floor(step: Reminder, sent: datetime, calendars: Calendars) -> datetime:
    """Up to when a step is passed over: it would come before the letter itself, or on its heels.

    Who is reached late has a short term; "two days before" it is then the morning after the letter, and reminds of
    nothing. On the day of the deadline and after it everybody is reminded.
    """
    if step.hours is not None or step.working_days >= 0:
        return sent
    return instant(calendars.named("both").add(local(sent).date(), 1), time.max)


def _before(times: list[datetime], floors: list[datetime]) -> int:
    # A reminder that would have come before the letter itself is passed over, not sent late.
    return next((n for n, at in enumerate(times) if at > floors[n]), len(times))


def _passed(times: list[datetime], floors: list[datetime], taken: int, now: datetime) -> int:
    live = [n for n, at in enumerate(times) if n >= taken and floors[n] < at <= now]
    return max(live) + 1 if live else taken


def _today(steps: list[Reminder], times: list[datetime], now: datetime) -> int:
    """How many steps there are up to the last of this day: what was held and what is due today go out as one."""
    day = local(now).date()
    same = [n for n, at in enumerate(times) if steps[n].hours is None and local(at).date() == day]
    return max(same) + 1 if same else 0


def _next(times: Iterable[datetime], limit: datetime, now: datetime) -> datetime:
    return min((at for at in (*times, limit) if at > now), default=limit)


def paused_days(paused: datetime, resumed: datetime, calendar: Calendar) -> int:
    """The working time between two instants in whole working days of this calendar, rounded up.

    Rounded up, so that nobody loses an hour and the hour of the day that was printed stays as it is.
    """
    return ceil(_working_time(paused, resumed, calendar) / _day_length(calendar))


def _day_length(calendar: Calendar) -> timedelta:
    opens = timedelta(hours=calendar.opens.hour, minutes=calendar.opens.minute)
    return timedelta(hours=calendar.closes.hour, minutes=calendar.closes.minute) - opens


def _working_time(start: datetime, end: datetime, calendar: Calendar) -> timedelta:
    worked = timedelta()
    for day in days(local(start).date(), local(end).date()):
        if calendar.is_working(day):
            first = max(start, instant(day, calendar.opens))
            worked += max(timedelta(), min(end, instant(day, calendar.closes)) - first)
    return worked


def moved_on(at: datetime, working_days: int, calendars: Calendars, name: str = "state") -> datetime:
    """The instant so many working days later, at the same hour; a day off is left as it is for 0 days."""
    if not working_days:
        return at
    wall = local(at)
    return instant(calendars.term(wall.date(), working_days, name), wall.time())


def working_days_late(due: datetime, now: datetime, calendars: Calendars) -> int:
    """Days since the deadline's day on which authority and company work; 0 before it has passed."""
    return max(0, calendars.named("both").count(local(due).date(), local(now).date())) if now > due else 0


def days(first: date, last: date) -> Iterator[date]:
    """Every day from first to last, both included."""
    for n in range((last - first).days + 1):
        yield first + timedelta(days=n)
