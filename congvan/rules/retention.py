"""How long personal data and the words of mails are kept after a campaign has ended. Registers are kept for good.

Luật 91/2025/QH15: personal data no longer than their purpose needs; NĐ 30/2020 Điều 16, 22: registers stay.
"""

from __future__ import annotations

import calendar
from datetime import datetime

from pydantic import Field

from congvan.rules.calendar import local
from congvan.rules.records import Record


class Retention(Record):
    """`config/retention.yaml`: months after the closing of a campaign; None: kept."""

    #: Mailboxes, names and telephone numbers of the people who received and answered, wherever they stand: also in
    #: notes of cases, digests, senders and servers' answers.
    contacts_months: int | None = Field(None, ge=1, le=600)
    #: What mails said, with all that they name, and what people wrote to us.
    mail_months: int | None = Field(None, ge=1, le=600)


def months_before(now: datetime, months: int) -> datetime:
    """The same day so many months earlier, or the last of that month; Vietnam's calendar."""
    wall = local(now)
    year, month = divmod(wall.year * 12 + wall.month - 1 - months, 12)
    day = min(wall.day, calendar.monthrange(year, month + 1)[1])
    return wall.replace(year=year, month=month + 1, day=day).astimezone(now.tzinfo)
