"""The mail server's own log, where it runs beside us: what it took although we never heard its 250. Postfix format."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection
from functools import cache
from pathlib import Path

log = logging.getLogger(__name__)

#: Octets that are read from the end of the log: what is looked for has just happened.
READ_MAX = 256_000_000

# Queue ids are short (hex) or long (letters and digits without vowels); postconf(5) enable_long_queue_ids.
_LINE = re.compile(rb" postfix(?:-\w+)?/(?:[\w-]+/)?(\w+)\[\d+\]: ([0-9A-Za-z]{5,20}): (.*)")
_ID = re.compile(rb"(?:resent-)?message-id=(<[^>]+>)")


def taken(path: Path, message_ids: Collection[str]) -> dict[str, str]:
    """{Message-ID: what the log says of it} for those that Postfix took into its queue.

    `message-id=` alone is no proof: cleanup writes it before the final dot. The queue manager's line, or a
    delivery (status=sent, deferred or bounced), is: from then on the letter is Postfix's to bring.
    """
    wanted = {one.encode() for one in message_ids}
    by_queue: dict[bytes, bytes] = {}
    found: dict[str, str] = {}
    for line in _tail(path):
        if (parts := _LINE.search(line)) is None:
            continue
        daemon, queue, rest = parts[1], parts[2], parts[3]
        if daemon == b"cleanup" and (named := _ID.match(rest)):
            if named[1] in wanted:
                by_queue[queue] = named[1]
            else:
                by_queue.pop(queue, None)  # short queue ids come round again
        elif queue in by_queue and _is_proof(daemon, rest):
            found[by_queue[queue].decode()] = f"{queue.decode()}: {rest.decode('utf-8', 'replace')}"[:500]
    return found


def _is_proof(daemon: bytes, rest: bytes) -> bool:
    return (daemon == b"qmgr" and b"(queue active)" in rest) or b" status=" in rest


def _tail(path: Path) -> list[bytes]:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - READ_MAX))
            return file.read().splitlines()
    except FileNotFoundError:
        return []
    except OSError as fault:
        # Without its log an unknown letter is sent again; it must not keep all others back.
        _tell(type(fault).__name__)
        return []


@cache
def _tell(fault: str) -> None:
    log.warning("%s: the mail server's log cannot be read: see CONGVAN_MTA_LOG", fault)
