"""What the Prefect UI shows: a run for each campaign, hop and recipient, published behind the work.

Names of organisations and codes only: no address, no person (the contacts never leave our database).
The state's type alone tells the truth; its name and a tag say it in words.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from prefect import flow, task
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import State as RunState
from prefect.client.schemas.objects import StateType
from prefect.exceptions import ObjectNotFound
from prefect.states import Scheduled

from congvan.acts.board import Tile
from congvan.acts.prefect_runs import RunOf
from congvan.links import office_url
from congvan.rules.calendar import local

#: Limits of Prefect's bulk calls.
CREATE_BATCH = 100
STATE_BATCH = 50
#: A hop without a date by the clock is looked at by `watch`; Prefect's schedule still needs one.
_LONG = timedelta(days=30)
_ASLEEP, _AWAITS_ISSUE, _HELD = "AwaitingConfirmation", "AwaitingIssue", "Held"
#: The names of the states in which hops sleep.
SLEEPS = frozenset({_ASLEEP, _AWAITS_ISSUE, _HELD})


@flow(name="delivery", persist_result=False)
def delivery() -> None:
    """One recipient's obligation. Never executed: its runs are pictures of rows in our database."""


@flow(name="recipients", persist_result=False)
def recipients() -> None:
    """A hop's page: every recipient below it. Never executed.

    Prefect's UI hides the list of subflows of a run that is scheduled, and a sleeping hop is; so the
    recipients stand on a page of their own, beside the hop's run.
    """


@task(name="folder")
def folder_task() -> None:
    """A folder for runs on the page of another run. Never executed."""


def shown(tile: Tile) -> tuple[StateType, str]:
    """The state of a recipient's run: type and name."""
    kind, name = tile.shown
    return StateType(kind), name


def born(tile: Tile) -> str:
    """The name of the state in which its run is made: a run has the deadline as its date only if it is made scheduled.

    One that is shown as scheduled needs no second call, which costs Prefect's server as much as the first.
    """
    kind, name = shown(tile)
    return name if kind is StateType.SCHEDULED else "Queued"


def run_name(tile: Tile) -> str:
    """ASCII code first: the timeline's typeface lacks Vietnamese letters."""
    due = f" · hạn {local(tile.due_at):%d/%m/%Y %H:%M}" if tile.due_at else ""
    return f"{tile.code} {tile.name}{due}"


def tags(tile: Tile) -> list[str]:
    """By which the runs of a hop are filtered."""
    found = [f"campaign:{tile.campaign}", f"level:{tile.level}", f"state:{shown(tile)[1]}"]
    found += [f"park:{tile.park}"] if tile.park else []
    return found + [f"segment:{segment}" for segment in tile.segments]


async def create(
    client: PrefectClient,
    deployment_id: UUID,
    tiles: Sequence[Tile],
    page_id: str,
    parent_task_run: UUID,
    when: dict[str, datetime],
) -> dict[str, str]:
    """Create the runs of up to a hundred recipients; {delivery id: run id} of those that were made, now or before.

    page_id: the run on whose page they stand, in the folder `parent_task_run`. Rows fail one by one under HTTP 200, so
    each row's own status is read; what failed is tried again later. Raise ObjectNotFound where the deployment is gone.
    """
    body = [
        {
            "name": run_name(tile),
            "tags": tags(tile),
            # Once on a page, in whichever folder: a call that is repeated, since its answer was lost, has another one.
            # A page that is made again is another page.
            "idempotency_key": f"delivery-{tile.delivery_id}-{page_id}",
            "parent_task_run_id": str(parent_task_run),
            "state": {"type": "SCHEDULED", "name": born(tile), "state_details": {"scheduled_time": _iso(when, tile)}},
        }
        for tile in tiles
    ]
    try:
        response = await client._client.post(f"/deployments/{deployment_id}/create_flow_run/bulk", json=body)
        response.raise_for_status()
    except httpx.HTTPStatusError as fault:
        if fault.response.status_code == httpx.codes.NOT_FOUND:
            raise ObjectNotFound(fault) from fault
        raise
    made = {}
    for tile, row in zip(tiles, response.json()["results"], strict=True):
        if row.get("flow_run_id"):
            made[tile.delivery_id] = str(row["flow_run_id"])
    return made


async def point(client: PrefectClient, made: Sequence[tuple[Tile, str]], portal: str, wall: datetime) -> None:
    """Lead from each of these runs to the recipient's page for operators: a line of its log, which the UI makes a
    link of (it shows parameters as they are, and an artifact would be a call for each run)."""
    lines = [
        {
            "name": "congvan", "level": 20, "timestamp": wall.isoformat(), "flow_run_id": run_id,
            "message": f"Trang cán bộ: {office_url(portal, 'c', tile.campaign, 'd', tile.delivery_id)}",
        }
        for tile, run_id in made
    ]  # fmt: skip
    if lines:
        (await client._client.post("/logs/", json=lines)).raise_for_status()


def _iso(when: dict[str, datetime], tile: Tile) -> str:
    return when[tile.delivery_id].isoformat()


async def move(
    client: PrefectClient, run_ids: Sequence[str], kind: StateType, name: str, wall: datetime
) -> set[str]:
    """Set one state on up to fifty runs; the ids of those that took it.

    Forced: a late answer leaves a final state, which Prefect's own rules forbid. One that waits to be sent again is
    not late before its time.
    """
    later = {"scheduled_time": (wall + _LONG).isoformat()} if kind is StateType.SCHEDULED else {}
    response = await client._client.post(
        "/flow_runs/bulk_set_state",
        json={
            "flow_runs": {"id": {"any_": list(run_ids)}},
            "state": {"type": kind.value, "name": name, "state_details": later},
            "force": True,
            "limit": STATE_BATCH,
        },
    )
    response.raise_for_status()
    return {str(row["flow_run_id"]) for row in response.json()["results"] if row["status"] == "ACCEPT"}


async def delete(client: PrefectClient, run_ids: Sequence[str]) -> int:
    """Delete runs; how many of them there were."""
    deleted = 0
    for start in range(0, len(run_ids), STATE_BATCH):
        body = {"flow_runs": {"id": {"any_": list(run_ids[start : start + STATE_BATCH])}}, "limit": STATE_BATCH}
        answer = (await client._client.post("/flow_runs/bulk_delete", json=body)).raise_for_status()
        deleted += len(answer.json()["deleted"])
    return deleted


async def relabel(client: PrefectClient, run_id: str, tile: Tile) -> None:
    """Repeat the state in the tags, since some filters of the UI do not know custom state names, and name the deadline
    as it is now."""
    await client.update_flow_run(UUID(run_id), name=run_name(tile), tags=tags(tile))


async def folder(client: PrefectClient, run_id: str, key: str) -> UUID:
    """The parent of runs that stand on the page of this run; the same key is the same folder.

    Made by the client: an ordinary task's run is recorded later, and the foreign key would refuse the rows.
    """
    run = await client.create_task_run(
        task=folder_task,
        flow_run_id=UUID(run_id),
        dynamic_key=key,
        name=key,
        state=RunState(type=StateType.PENDING, name="Folder"),
    )
    return run.id


# ------------------------------------------------------------------------------------ hops and campaigns


def hop_name(run: RunOf) -> str:
    """A hop's run: who issues to those below."""
    return f"{run.campaign} {run.name}"


def page_name(run: RunOf) -> str:
    """A hop's page: all who get its letter, with the deadline that it has now."""
    due = f" · hạn {local(run.due_at):%d/%m/%Y %H:%M}" if run.due_at else ""
    return f"{hop_name(run)}{due} · các đơn vị nhận"


async def campaign_page(client: PrefectClient, flow_id: str, run: RunOf) -> str:
    """Make the page of a campaign that was not launched in Prefect; its run. It is never executed.

    A call that is repeated, since its answer was lost, finds the one that it made.
    """
    body = {
        "flow_id": flow_id, "idempotency_key": f"campaign-{run.id}", **_campaign_words(run.campaign),
        "parameters": {"plan": run.campaign},
        "state": {"type": StateType.RUNNING.value, "name": waiting(run.held).name},
    }  # fmt: skip
    response = await client._client.post("/flow_runs/", json=body)
    response.raise_for_status()
    return str(response.json()["id"])


async def name_campaign(client: PrefectClient, run_id: UUID, code: str) -> None:
    """Call the run of a form, which Prefect gave a name of its own, like the page that it has become."""
    await client.update_flow_run(run_id, **_campaign_words(code))


def _campaign_words(code: str) -> dict[str, Any]:
    return {"name": f"{code} campaign", "tags": [f"campaign:{code}"]}


def waiting(held: bool) -> RunState:
    """The state of a campaign's run and of a hop's page: open, with no process behind it."""
    return RunState(type=StateType.RUNNING, name=_HELD if held else _ASLEEP)


def asleep(run_state: str, held: bool, at: datetime | None, wall: datetime) -> RunState:
    """The state in which a hop waits, in Prefect's own schedule."""
    name = _HELD if held else _AWAITS_ISSUE if run_state == "PENDING_ISSUE" else _ASLEEP
    state: RunState = Scheduled(scheduled_time=at or wall + _LONG)
    state.name = name
    return state


def awake(wall: datetime) -> RunState:
    """The state that starts a hop's process."""
    state: RunState = Scheduled(scheduled_time=wall)
    state.name = "Due"
    return state
