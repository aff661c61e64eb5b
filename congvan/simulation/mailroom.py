"""The authority's own mailbox: people answer by mail, machines answer by themselves, servers report later."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from congvan.mail.imap import Fetched
from congvan.simulation.inline import Disk
from congvan.simulation.post import Landed

_REPLY = """\
From: <{address}>
To: <vanthu@bql.example>
Subject: Re: Van ban
Message-ID: <answer-{number}@world.example>
In-Reply-To: {message_id}
References: {message_id}
{more}Content-Type: text/plain; charset=utf-8

{words}
"""
_REPORT = """\
From: <MAILER-DAEMON@world.example>
To: <vanthu@bql.example>
Subject: Undelivered Mail Returned to Sender
Message-ID: <answer-{number}@world.example>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="edge"

--edge
Content-Type: text/plain; charset=us-ascii

The message could not be delivered.

--edge
Content-Type: message/delivery-status

Reporting-MTA: dns; world.example

Final-Recipient: rfc822; {address}
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 No such user

--edge
Content-Type: text/rfc822-headers

Message-ID: {message_id}

--edge--
"""


@dataclass
class Mailroom:
    """What lies in the mailbox, oldest first; nothing is ever taken out. An `acts.inbox.Source`. came: told of each."""

    disk: Disk
    name: str = "mailroom"
    mails: list[bytes] = field(default_factory=list)
    tally: Counter[str] = field(default_factory=Counter)
    came: Callable[[], None] = lambda: None
    _read: int = 0

    @property
    def unread(self) -> bool:
        """Whether something came that the database does not know yet."""
        if self._read < len(self.mails):
            self._read = self.disk.look("select coalesce(max(uid), 0) from incoming")[0][0]
        return self._read < len(self.mails)

    async def newer(self, _uidvalidity: int, uid: int) -> AsyncIterator[Fetched]:
        """What came after this uid."""
        for number in range(uid + 1, len(self.mails) + 1):
            yield Fetched(1, number, self.mails[number - 1])

    def person(self, to: Landed) -> None:
        """Somebody writes back instead of following the link."""
        self._lay("answers by mail", _REPLY, to, words="Đơn vị chúng tôi đã nhận được văn bản.", more="")

    def machine(self, to: Landed) -> None:
        """Somebody is on leave."""
        more = "Auto-Submitted: auto-replied\n"
        self._lay("is on leave", _REPLY, to, words="Tôi đang nghỉ phép.", more=more)

    def server(self, to: Landed) -> None:
        """A server took the mail and finds later that there is no such mailbox."""
        self._lay("comes back later", _REPORT, to)

    def _lay(self, what: str, form: str, to: Landed, **more: str) -> None:
        self.tally[what] += 1
        number = len(self.mails) + 1
        text = form.format(number=number, address=to.address, message_id=to.message_id, **more)
        self.mails.append(text.replace("\n", "\r\n").encode())
        self.came()
