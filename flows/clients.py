"""Prefect's clients: one for all that the engine asks for, and where the board has a server of its own one for that."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prefect.client.orchestration import PrefectClient
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_KEY

from congvan.settings import Settings


@asynccontextmanager
async def client_of_board(settings: Settings, client: PrefectClient) -> AsyncIterator[PrefectClient]:
    """At which the board is published: another server of the same Prefect (CONGVAN_BOARD_API_URL), else this one."""
    if not settings.board_api_url:
        yield client
        return
    # Prefect's own `get_client` gives every flow the client of that flow.
    known = {"auth_string": PREFECT_API_AUTH_STRING.value(), "api_key": PREFECT_API_KEY.value()}
    async with PrefectClient(settings.board_api_url, **known) as own:
        yield own
