"""One thing that trips keeps no other from its turn."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx

from congvan.errors import place_of
from congvan.store.database import is_away

log = logging.getLogger("congvan.relay")


@contextmanager
def apart(what: str, tripped: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Do the block; where it trips the log is told, and `tripped` called.

    A database or a Prefect that is away is away for everything: it is raised, the round ends, and the relay waits. All
    else may come of what is this one's own, and would keep the others waiting for ever.
    """
    try:
        yield
    except Exception as fault:
        if isinstance(fault, httpx.TransportError) or is_away(fault):
            raise
        log.error("%s has tripped: %s", what, place_of(fault))
        tripped()
