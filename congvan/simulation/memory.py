"""What the watcher remembers of each row between two steps, and its own reckoning of time.

It reckons deadlines itself, day by day, and asks no function of the engine's rules: a fault in a rule
must not hide in the check of it.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from congvan.rules.calendar import Calendar, Calendars, instant, local
from congvan.rules.records import CampaignPlan, Cascade, Policy
from congvan.simulation.inline import Disk
from congvan.simulation.look import rows, some

_DAY = timedelta(days=1)
SETTLED = {
    "acknowledge": {"ACKNOWLEDGED", "IN_PROGRESS", "FORWARDED", "COMPLETED", "EXEMPT", "WITHDRAWN"},
    "forward": {"FORWARDED", "COMPLETED", "EXEMPT", "WITHDRAWN"},
    "complete": {"COMPLETED", "EXEMPT", "WITHDRAWN"},
}
LETTERS = {"letter", "slip", "bypass", "replacement"}
FAREWELLS = {"exemption", "withdrawal", "recall"}
CHASERS = {"reminder", "overdue"}


@dataclass
class Chain:
    """The log of one row as far as it was seen."""

    seq: int = 0
    head: str = ""
    state: str | None = None
    kinds: list[str] = field(default_factory=list)


@dataclass
class Seen:
    """A delivery as it stood before the present step."""

    state: str
    due_at: datetime | None


@dataclass
class Memory:
    """Everything remembered, and what the seed's world is known to be."""

    disk: Disk
    calendars: Calendars
    plans: dict[str, tuple[CampaignPlan, Cascade]]
    chains: dict[str, Chain] = field(default_factory=dict)
    deliveries: dict[str, Seen] = field(default_factory=dict)
    #: (delivery, event) of every answer that was confirmed to its recipient as recorded.
    answered: list[tuple[str, str]] = field(default_factory=list)
    checks: int = 0

    def policy(self, campaign: str, issuer_level: str, level: str) -> Policy:
        """The policy of a recipient level as plan and cascade write it."""
        plan, cascade = self.plans[campaign]
        if level in plan.policies:
            return plan.policies[level]
        rule = next(rule for rule in cascade.hops if rule.issuer == issuer_level)
        return next(who.policy for who in rule.recipients if who.level == level)

    def urgent(self, campaign: str) -> bool:
        """Khẩn and above."""
        return self.plans[campaign][0].urgency.value != "normal"

    def escalates_at(self, policy: Policy, due: datetime) -> datetime:
        """Deadline and grace: on the state's days, or on days on which both work, where a reminder after the deadline
        would be too late otherwise."""
        if policy.grace_hours:
            return due + timedelta(hours=policy.grace_hours)
        wall, days = local(due), policy.grace_working_days
        limit = instant(_add(self.calendars.state, wall.date(), days), wall.time())
        overdue = [n for n, step in enumerate(policy.reminders, 1) if step.hours is None and step.working_days > 0]
        if any(self.reminder_at(policy, n, due) >= limit for n in overdue):
            limit = instant(_add(self.calendars.named("both"), wall.date(), days), wall.time())
        return limit

    def reminder_at(self, policy: Policy, step: int, due: datetime) -> datetime:
        """The earliest instant of one reminder step, from 1."""
        reminder = policy.reminders[step - 1]
        if reminder.hours is not None:
            return due + timedelta(hours=reminder.hours)
        day = _add(self.calendars.named("both"), local(due).date(), reminder.working_days)
        return instant(day, reminder.at)

    def at_work(self, at: datetime) -> bool:
        """Office hours of a working day of the state's calendar."""
        wall, state = local(at), self.calendars.state
        return state.is_working(wall.date()) and state.opens <= wall.time() < state.closes

    def is_quiet(self, at: datetime) -> bool:
        """A window in which routine mail is held."""
        return any(first <= local(at).date() <= last for first, last in self.calendars.state.quiet)


def _add(calendar: Calendar, day: date, number: int) -> date:
    step = _DAY if number > 0 else -_DAY
    while number:
        day += step
        if calendar.is_working(day):
            number += -1 if number > 0 else 1
    return day


def delivery_row(disk: Disk, key: str) -> sqlite3.Row:
    """A delivery with its hop's and campaign's facts beside it."""
    question = (
        "select d.*, h.level issuer_level, c.code campaign, c.held_at, c.state campaign_state"
        " from deliveries d join hops h on h.id = d.hop_id join campaigns c on c.id = d.campaign_id where d.id = ?"
    )
    return rows(disk, question, key)[0]


def is_settled(delivery: sqlite3.Row) -> bool:
    """Nothing more is asked."""
    return delivery["state"] in SETTLED[delivery["settles"]]


def due_of(delivery: sqlite3.Row) -> datetime | None:
    """The deadline, if its hop has opened."""
    return some(delivery["due_at"]) if delivery["due_at"] else None
