"""One hop or campaign that trips keeps no other from its turn."""

from __future__ import annotations

import logging
import socket
from collections.abc import Awaitable

import httpx

from congvan.errors import place_of

log = logging.getLogger("congvan.relay")

#: A database or a Prefect that is away is away for every hop: the round ends, and the relay waits for it.
DATABASE_AWAY = (ConnectionError, TimeoutError, socket.gaierror)
AWAY = (httpx.TransportError, *DATABASE_AWAY)


async def apart(what: str, doing: Awaitable[object]) -> bool:
    """Do it; False where it tripped, which the log is told of. Whatever is away is raised."""
    try:
        await doing
    except AWAY:
        raise
    except Exception as fault:
        log.error("%s has tripped and comes again: %s", what, place_of(fault))
        return False
    return True
