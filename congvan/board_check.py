"""Is the board true? What Prefect shows of each recipient beside what the database says."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import httpx

from congvan.acts import board, prefect_runs
from congvan.acts.board import Tile
from congvan.house import House

#: Runs that are asked for at a time: Prefect's own limit.
_PAGE = 200
_ANSWERS_S = 60.0


@dataclass(frozen=True, slots=True)
class Difference:
    """One recipient that the board does not show as it is. shown: what it shows, None: no run."""

    campaign: str
    recipient: str
    should: str
    shown: str | None

    def as_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Found:
    """compared: recipients looked at. behind: whose last change is on its way to the board; no difference.

    in_tables: codes of campaigns so large that tables alone show them; they are not compared.
    """

    compared: int
    behind: int
    differences: tuple[Difference, ...]
    in_tables: tuple[str, ...] = ()


def credentials(auth_string: str) -> dict[str, str]:
    """The header by which Prefect's API knows who may ask: its password, with or without a name before it."""
    return {"Authorization": f"Basic {base64.b64encode(auth_string.encode()).decode()}"} if auth_string else {}


async def compare(house: House, api: str, auth_string: str = "") -> Found:
    """Compare every campaign whose recipients stand in Prefect one by one; raise httpx.HTTPError."""
    compared = behind = 0
    differences: list[Difference] = []
    in_tables: list[str] = []
    async with httpx.AsyncClient(base_url=api, headers=credentials(auth_string), timeout=_ANSWERS_S) as client:
        for campaign in [*await prefect_runs.running_campaigns(house), *await prefect_runs.unfinished_campaigns(house)]:
            if await board.is_large(house, campaign.id):
                in_tables.append(campaign.campaign)
                continue
            found = await board.tiles(house, campaign.id)
            behind += sum(not seen for _, seen in found)
            settled = [tile for tile, seen in found if seen]
            compared += len(settled)
            differences += await _certain(house, client, campaign.id, await _doubtful(client, settled))
    return Found(compared, behind, tuple(differences), tuple(in_tables))


async def _doubtful(client: httpx.AsyncClient, tiles: Sequence[Tile]) -> dict[Tile, str | None]:
    """What is shown of those that are not shown as they are, or were when they were read."""
    shown = await _shown(client, [tile.run_id for tile in tiles if tile.run_id])
    found = {tile: shown.get(tile.run_id or "") for tile in tiles}
    return {tile: seen for tile, seen in found.items() if seen != " ".join(tile.shown)}


async def _certain(
    house: House, client: httpx.AsyncClient, campaign_id: str, doubtful: Mapping[Tile, str | None]
) -> list[Difference]:
    """Those of them that are shown wrongly: thousands of runs are read for minutes, in which recipients answer and are
    shown. Asked again, one that has not changed between two looks at the database was so while Prefect was asked."""
    if not doubtful:
        return []
    keys = {tile.delivery_id for tile in doubtful}

    async def now() -> list[Tile]:
        return [one for one, seen in await board.tiles(house, campaign_id) if seen and one.delivery_id in keys]

    again = await _doubtful(client, await now())
    same = set(await now())
    return [
        Difference(tile.campaign, tile.code, " ".join(tile.shown), seen) for tile, seen in again.items() if tile in same
    ]


async def _shown(client: httpx.AsyncClient, run_ids: Sequence[str]) -> dict[str, str]:
    """Run to its state, type and name."""
    found: dict[str, str] = {}
    rest = iter(run_ids)
    while page := list(islice(rest, _PAGE)):
        body = {"flow_runs": {"id": {"any_": page}}, "limit": _PAGE}
        answer = (await client.post("/flow_runs/filter", json=body)).raise_for_status()
        found |= {run["id"]: f"{run['state_type']} {run['state_name']}" for run in answer.json()}
    return found
