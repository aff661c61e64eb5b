"""Prefect's clients: one for all that the engine asks for, and where the board has a server of its own one for that."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prefect.client.orchestration import PrefectClient, get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from congvan.settings import Settings


@asynccontextmanager
async def client_of_board(settings: Settings, client: PrefectClient) -> AsyncIterator[PrefectClient]:
    """At which the board is published: another server of the same Prefect (CONGVAN_BOARD_API_URL), else this one."""
    if not settings.board_api_url:
        yield client
        return
    with temporary_settings({PREFECT_API_URL: settings.board_api_url}):
        own = get_client()
    async with own as board_client:
        yield board_client
