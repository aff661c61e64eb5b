"""The hands of the flows: one effect each. Retries stand here and nowhere else.

`effect` is the only way a task is made: without it Prefect would skip, on a hop's second wake, a task
that it finds in its cache, and would write results to disk. A test holds every task to it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import wraps
from typing import Any

import httpx
from prefect import task
from prefect.cache_policies import NO_CACHE

from congvan.errors import CongvanError, LetterRefused, place_of
from congvan.house import House, build
from congvan.logs import configure
from congvan.store.database import Refused

_houses: list[House] = []


class DatabaseRefused(CongvanError):
    """The database did not take what was asked of it; the message is the driver's name for the fault."""


class Tripped(CongvanError):
    """A fault of our own; the message is its class and place."""


@contextmanager
def _discreetly() -> Iterator[None]:
    """What Prefect shows and keeps of a fault: what was written for a reader there, else its class and place alone.

    A database's message may quote a row; whatever else trips may quote a mailbox or a signed address.
    """
    try:
        yield
    except Refused as fault:
        raise DatabaseRefused(type(fault.orig or fault).__name__) from None
    except httpx.HTTPError:
        raise
    except Exception as fault:
        if isinstance(fault, CongvanError) and not isinstance(fault, LetterRefused):
            raise
        raise Tripped(place_of(fault)) from None


def effect(function: Callable[..., Any]) -> Any:
    """A task of ours: never cached, nothing persisted, tried again after a passing fault."""

    @wraps(function)
    async def discreet(*given: Any, **named: Any) -> Any:
        with _discreetly():
            return await function(*given, **named)

    return task(  # type: ignore[call-overload]
        discreet, cache_policy=NO_CACHE, persist_result=False, retries=2, retry_delay_seconds=[1, 5]
    )


@asynccontextmanager
async def at_work(house: House | None = None) -> AsyncIterator[House]:
    """The house that this run's tasks work in; closed at the end, so that the process can leave. A fault of the run
    itself is as discreet as one of a task."""
    if house is None:
        house = build(gives_way=True)
        configure(house.settings)
    _houses.append(house)
    try:
        with _discreetly():
            yield house
    finally:
        _houses.pop()
        await house.close()


def house() -> House:
    """The house of the present run; a task without one is called outside its flow."""
    if not _houses:
        raise RuntimeError("a task was called outside `at_work`")
    return _houses[-1]
