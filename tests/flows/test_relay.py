"""The relay outlives what it depends on: whoever is left without it is forgotten."""

from __future__ import annotations

import httpx
import pytest
from prefect.exceptions import ObjectNotFound
from sqlalchemy.exc import DBAPIError

from congvan.house import House
from flows.registered import Deployments
from flows.relay import Relay


async def nothing_to_register(_client: object) -> dict[str, object]:
    return {}


@pytest.fixture
def relay(house: House, monkeypatch: pytest.MonkeyPatch) -> Relay:
    """One that leads and never waits."""

    async def at_once(_relay: Relay, _seconds: float) -> None:
        return

    monkeypatch.setattr(Relay, "_wait", at_once)
    made = Relay(house, Deployments(nothing_to_register))
    made._leading = True
    return made


@pytest.mark.parametrize(
    "fault",
    [
        DBAPIError("SELECT 1", {}, OSError("could not extend file: No space left on device")),
        DBAPIError("SELECT 1", {}, OSError("terminating connection due to administrator command")),
        httpx.ConnectError("All connection attempts failed"),
        ConnectionRefusedError(),
        ObjectNotFound(KeyError("a run that was deleted")),
    ],
)
async def test_the_relay_goes_on_after_the_database_or_prefect_was_away(relay: Relay, fault: Exception) -> None:
    passes = 0

    async def step() -> None:
        nonlocal passes
        passes += 1
        if passes < 3:
            raise fault
        relay.stop()

    await relay._loop(step, 0.0)
    assert passes == 3


async def test_a_fault_of_our_own_ends_the_relay_so_that_it_is_started_again(relay: Relay) -> None:
    async def step() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await relay._loop(step, 0.0)
