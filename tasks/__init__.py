"""The hands of the flows: one effect each. Retries stand here and nowhere else.

`effect` is the only way a task is made: without it Prefect would skip, on a hop's second wake, a task
that it finds in its cache, and would write results to disk. A test holds every task to it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
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


def effect(function: Callable[..., Any]) -> Any:
    """A task of ours: never cached, nothing persisted, tried again after a passing fault."""

    @wraps(function)
    async def discreet(*given: Any, **named: Any) -> Any:
        try:
            return await function(*given, **named)
        except Refused as fault:
            # What a database says of a fault may quote a row, and Prefect shows and keeps it.
            raise DatabaseRefused(type(fault.orig or fault).__name__) from None
        except httpx.HTTPError:
            raise
        except Exception as fault:
            # Whatever was not written for a reader in Prefect may quote a mailbox or a signed address.
            if isinstance(fault, CongvanError) and not isinstance(fault, LetterRefused):
                raise
            raise Tripped(place_of(fault)) from None

    return task(  # type: ignore[call-overload]
        discreet, cache_policy=NO_CACHE, persist_result=False, retries=2, retry_delay_seconds=[1, 5]
    )


@asynccontextmanager
async def at_work(house: House | None = None) -> AsyncIterator[House]:
    """The house that this run's tasks work in; closed at the end, so that the process can leave."""
    if house is None:
        house = build(gives_way=True)
        configure(house.settings)
    _houses.append(house)
    try:
        yield house
    finally:
        _houses.pop()
        await house.close()


def house() -> House:
    """The house of the present run; a task without one is called outside its flow."""
    if not _houses:
        raise RuntimeError("a task was called outside `at_work`")
    return _houses[-1]
