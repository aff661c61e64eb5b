"""The engine's own mailbox, read over IMAP: `imap(s)://user:password@host:port/folder`. Nothing in it is changed.

Read by uid, from the last one that was recorded on; BODY.PEEK leaves even the "seen" mark to people.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from imaplib import IMAP4
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from imap_tools import BaseMailBox, MailBox, MailBoxStartTls, MailBoxUnencrypted
from imap_tools.errors import ImapToolsError

from congvan.errors import CongvanError
from congvan.mail.reading import READ_MAX
from congvan.mail.url import LOOPBACK

#: Mails that are fetched at a time: what bounds the memory.
_PAGE = 20
_TIMEOUT_S = 60.0
#: Response codes of a server that asks for time (RFC 5530 section 3; THROTTLED is what some say).
_LATER = re.compile(rb"\[(?:UNAVAILABLE|INUSE|LIMIT|OVERQUOTA|THROTTLED)\b", re.IGNORECASE)
_UID = re.compile(rb"\bUID (\d+)")


class MailboxUnreadable(CongvanError):
    """The mailbox cannot be read now. `congvan doctor` checks CONGVAN_IMAP_URL."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """One mail as it lies in the mailbox; of a very long one the beginning."""

    uidvalidity: int
    uid: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A folder on a server. imap:// is STARTTLS, in clear only to this machine itself; imaps:// is TLS.

    Certificates are verified, against `ca_file` where one is named (?ca=FILE).
    """

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    folder: str = "INBOX"
    tls: bool = False
    ca_file: str = ""

    @classmethod
    def parse(cls, text: str) -> Mailbox:
        """Read the URL; raise ValueError."""
        parts = urlsplit(text)
        if parts.scheme not in ("imap", "imaps") or not parts.hostname or not parts.username:
            raise ValueError("expected imap(s)://user:password@host[:port][/folder][?ca=FILE]")
        tls = parts.scheme == "imaps"
        return cls(
            host=parts.hostname,
            port=parts.port or (993 if tls else 143),
            user=unquote(parts.username),
            password=unquote(parts.password or ""),
            folder=unquote(parts.path.strip("/")) or "INBOX",
            tls=tls,
            ca_file=parse_qs(parts.query).get("ca", [""])[-1],
        )

    @property
    def name(self) -> str:
        """What tells it from other mailboxes in the database."""
        return f"{self.user}@{self.host}/{self.folder}"[:200]

    async def newer(self, uidvalidity: int, uid: int) -> AsyncIterator[Fetched]:
        """What came after this uid, oldest first; everything where the folder was numbered anew since.

        Raises MailboxUnreadable.
        """
        box = await self._guarded(self._open)
        try:
            valid, uids = await self._guarded(_listed, box, self.folder)
            wanted = [one for one in uids if valid != uidvalidity or one > uid]
            for first in range(0, len(wanted), _PAGE):
                for one, raw in await self._guarded(_page, box, wanted[first : first + _PAGE]):
                    yield Fetched(valid, one, raw)
        finally:
            await asyncio.to_thread(_leave, box)

    async def count(self) -> int:
        """How many mails lie in the folder; raise MailboxUnreadable."""
        box = await self._guarded(self._open)
        try:
            return len((await self._guarded(_listed, box, self.folder))[1])
        finally:
            await asyncio.to_thread(_leave, box)

    async def _guarded(self, work: Any, *arguments: Any) -> Any:
        try:
            return await asyncio.to_thread(work, *arguments)
        except (ImapToolsError, OSError, EOFError, ValueError, ssl.SSLError) as fault:
            raise MailboxUnreadable(f"{self.name}: {type(fault).__name__}") from fault
        except Exception as fault:
            # imaplib raises classes of its own that derive from nothing more telling.
            if type(fault).__module__ == "imaplib":
                raise MailboxUnreadable(f"{self.name}: {fault}"[:300]) from fault
            raise

    def _open(self) -> BaseMailBox:
        context = ssl.create_default_context(cafile=self.ca_file or None)
        box: BaseMailBox
        if self.tls:
            box = MailBox(self.host, self.port, timeout=_TIMEOUT_S, ssl_context=context)
        elif self.host in LOOPBACK:
            box = MailBoxUnencrypted(self.host, self.port, timeout=_TIMEOUT_S)
        else:
            box = MailBoxStartTls(self.host, self.port, timeout=_TIMEOUT_S, ssl_context=context)
        login = box.login if (self.user + self.password).isascii() else box.login_utf8
        try:
            return login(self.user, self.password, initial_folder=None)
        except Exception:
            box.client.shutdown()
            raise


def _listed(box: BaseMailBox, folder: str) -> tuple[int, list[int]]:
    # EXAMINE: the server itself holds us to reading.
    box.folder.set(folder, readonly=True)
    _, valid = box.client.response("UIDVALIDITY")
    number = int(valid[0]) if valid and valid[0] else 0
    return number, sorted(int(one) for one in box.uids("ALL") if one)


def _page(box: BaseMailBox, uids: list[int]) -> list[tuple[int, bytes]]:
    """These mails. One that the server has and cannot give keeps no other back: it is empty."""
    found = _fetched(box, uids)
    if found is not None:
        return found
    pages = {one: _fetched(box, [one]) for one in uids}
    refused = [one for one, page in pages.items() if page is None]
    # Where it gives none of several, or does not even name it, the server is at fault and not the mail.
    if len(refused) == len(uids) > 1 or not all(_is_there(box, one) for one in refused):
        raise ValueError("FETCH: NO")
    return sorted([mail for page in pages.values() for mail in page or ()] + [(one, b"") for one in refused])


def _is_there(box: BaseMailBox, uid: int) -> bool:
    return bool(box.client.uid("FETCH", str(uid), "(UID)")[0] == "OK")


def _fetched(box: BaseMailBox, uids: list[int]) -> list[tuple[int, bytes]] | None:
    """These mails, or None where the server refuses to give them; raise ValueError where it only cannot now.

    One that it answers for without its text (NIL, or a quoted string, which has no lines) is empty.
    """
    listed = ",".join(map(str, uids))
    try:
        status, data = box.client.uid("FETCH", listed, f"(UID BODY.PEEK[]<0.{READ_MAX}>)")
    except IMAP4.abort:
        raise
    except IMAP4.error as fault:  # BAD: the connection goes on
        status, data = "BAD", [str(fault).encode()]
    if status != "OK":
        if _LATER.search(b" ".join(part for part in data if isinstance(part, bytes))):
            raise ValueError(f"FETCH: {status}")
        return None
    found: dict[int, bytes] = {}
    for place, part in enumerate(data):
        if not isinstance(part, tuple):
            if isinstance(part, bytes) and b"BODY[" in part and (named := _UID.search(part)) is not None:
                found.setdefault(int(named[1]), b"")
            continue
        # Some servers name the uid before the text, some after it.
        after = data[place + 1] if place + 1 < len(data) and isinstance(data[place + 1], bytes) else b""
        if (named := _UID.search(part[0]) or _UID.search(after)) is not None:
            found[int(named[1])] = part[1]
    # What came before a refusal is still in the library's hands, and comes with the next answer.
    return sorted((uid, raw) for uid, raw in found.items() if uid in uids)


def _leave(box: BaseMailBox) -> None:
    try:
        box.logout()
    except Exception:  # what was fetched is fetched
        return
