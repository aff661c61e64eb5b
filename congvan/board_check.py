"""Is the board true? What Prefect shows of each recipient beside what the database says."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
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


async def compare(house: House, api: str, auth_string: str = "") -> Found:
    """Compare every campaign whose recipients stand in Prefect one by one; raise httpx.HTTPError."""
    compared = behind = 0
    differences: list[Difference] = []
    in_tables: list[str] = []
    credentials = base64.b64encode(auth_string.encode()).decode()
    headers = {"Authorization": f"Basic {credentials}"} if auth_string else {}
    async with httpx.AsyncClient(base_url=api, headers=headers, timeout=_ANSWERS_S) as client:
        for campaign in [*await prefect_runs.running_campaigns(house), *await prefect_runs.unfinished_campaigns(house)]:
            if await board.is_large(house, campaign.id):
                in_tables.append(campaign.campaign)
                continue
            found = await board.tiles(house, campaign.id)
            behind += sum(not seen for _, seen in found)
            settled = [tile for tile, seen in found if seen]
            compared += len(settled)
            shown = await _shown(client, [tile.run_id for tile in settled if tile.run_id])
            differences += _differences(settled, shown)
    return Found(compared, behind, tuple(differences), tuple(in_tables))


def _differences(tiles: Iterable[Tile], shown: dict[str, str]) -> list[Difference]:
    found = []
    for tile in tiles:
        should = " ".join(tile.shown)
        seen = shown.get(tile.run_id or "")
        if seen != should:
            found.append(Difference(tile.campaign, tile.code, should, seen))
    return found


async def _shown(client: httpx.AsyncClient, run_ids: Sequence[str]) -> dict[str, str]:
    """Run to its state, type and name."""
    found: dict[str, str] = {}
    rest = iter(run_ids)
    while page := list(islice(rest, _PAGE)):
        body = {"flow_runs": {"id": {"any_": page}}, "limit": _PAGE}
        answer = (await client.post("/flow_runs/filter", json=body)).raise_for_status()
        found |= {run["id"]: f"{run['state_type']} {run['state_name']}" for run in answer.json()}
    return found
