"""The deadline as a calendar file that a recipient can put into his own calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from icalendar import Alarm, Calendar, Event

from congvan.mail.message import Enclosure


def deadline_ics(
    *,
    uid: str,
    stamp: datetime,
    due_at: datetime,
    summary: str,
    description: str,
    link: str,
    sequence: int = 0,
    name: str = "han-xac-nhan.ics",
) -> Enclosure:
    """An RFC 5545 event that ends at the deadline, announced a day before.

    uid: stable per delivery, so that an extension (a higher `sequence`) moves the entry and makes no
    second one. stamp and due_at: aware. The same arguments give the same bytes.
    """
    if stamp.tzinfo is None or due_at.tzinfo is None:
        raise ValueError("a calendar entry needs instants with a time zone")
    event = Event()
    event.add("uid", uid)
    event.add("dtstamp", _utc(stamp))
    event.add("dtstart", _utc(due_at - timedelta(minutes=30)))
    event.add("dtend", _utc(due_at))
    event.add("sequence", sequence)
    event.add("summary", summary)
    event.add("description", f"{description}\n{link}")
    event.add("url", link)
    # The deadline does not make the day busy.
    event.add("transp", "TRANSPARENT")
    event.add_component(_alarm(summary))
    calendar = Calendar()
    calendar.add("prodid", "-//congvan//deadline//VI")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add_component(event)
    return Enclosure.of(name, "text/calendar; charset=utf-8; method=PUBLISH", calendar.to_ical())


def _utc(instant: datetime) -> datetime:
    return instant.astimezone(UTC)


def _alarm(summary: str) -> Alarm:
    alarm = Alarm()
    alarm.add("action", "DISPLAY")
    alarm.add("trigger", timedelta(days=-1))
    alarm.add("description", summary)
    return alarm
