"""What the publisher saves itself: calls to Prefect are what limits how fast the board follows."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

import httpx
import pytest
from prefect.client.orchestration import PrefectClient

from congvan.acts import board
from congvan.acts.board import Tile
from congvan.house import House
from congvan.store.tables import Delivery, Hop
from flows import publishing
from flows.publishing import Publisher
from flows.runs import Deployments, Runs
from tasks import board as shown
from tests.conftest import Postbox
from tests.protocol.world import Town


class Renewed:
    """Counts what is renewed."""

    def __init__(self) -> None:
        self.pages: list[str] = []

    async def hop(self, run_id: str, _issuer: str, _found: dict[str, Any]) -> None:
        self.pages.append(run_id)

    async def campaign(self, run_id: str, _status: dict[str, Any]) -> None:
        self.pages.append(run_id)


@pytest.fixture
async def town(house: House, postbox: Postbox) -> Town:
    """A campaign with its page."""
    made = Town(house, postbox)
    await made.launch()
    await board.claim_page(house, made.campaign, "campaign")
    for hop in await made.all(Hop):
        await board.remember_page(house, hop.id, hop.id)
    return made


@pytest.fixture
def publisher(house: House) -> Publisher:
    """One whose calls to Prefect are replaced by the tests."""
    client, nothing = cast("PrefectClient", None), Deployments(None)
    nothing.ids["delivery"] = uuid4()
    return Publisher(house, client, nothing, Runs(house, client, nothing))


async def test_a_campaigns_figures_are_made_once_for_some_hops_and_not_for_each_of_hundreds(
    town: Town, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    hops = [hop.id for hop in await town.all(Hop)]
    assert len(hops) == 4
    renewed = Renewed()
    monkeypatch.setattr(publisher, "_artifacts", renewed)
    monkeypatch.setattr(publishing, "PICTURES", 3)
    monkeypatch.setattr(publishing, "PICTURE_EVERY_S", 0.0)
    publisher._changed |= dict.fromkeys(hops)
    await publisher._picture()
    assert renewed.pages == [*hops[:3], "campaign"]
    await publisher._picture()
    assert renewed.pages[4:] == [hops[3], "campaign"]
    await publisher._picture()
    assert len(renewed.pages) == 6, "what has not changed stays"


async def test_only_a_run_whose_state_changes_gets_new_tags(
    town: Town, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    tagged: list[str] = []

    async def create(_c: object, _d: UUID, tiles: Sequence[Tile], *_: object) -> dict[str, str]:
        return {tile.delivery_id: f"run of {tile.code}" for tile in tiles}

    async def move(_c: object, run_ids: Sequence[str], _kind: object, _name: str) -> set[str]:
        return set(run_ids)

    async def retag(_c: object, run_id: str, _labels: Sequence[str]) -> None:
        tagged.append(run_id)

    async def nothing(*_: object) -> None:
        return

    for name, made in (("create", create), ("move", move), ("retag", retag), ("folder", nothing), ("point", nothing)):
        monkeypatch.setattr(shown, name, made)
    monkeypatch.setattr(publisher, "_tell", nothing)
    monkeypatch.setattr(publisher, "_picture", nothing)
    await town.until("2023-12-01", "10:00")
    await publisher.publish(5)
    # What a publisher before it may have made, and could not remember, has the tags of an older state.
    assert tagged == ["run of BQL"]
    await town.say("BQL")
    await town.until("2023-12-01", "16:00")
    tagged.clear()
    await publisher.publish(5)
    assert len(await town.all(Delivery, Delivery.run_id.is_not(None))) > 3
    assert tagged == ["run of BQL"], "of all that were shown for the first time none"


async def test_a_bulk_call_whose_answer_was_lost_is_repeated_under_the_same_keys(
    town: Town, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prefect carries it out all the same. The repetition stands in another folder, since the first one counts as
    taken, and must not make every run a second time."""
    sent: list[tuple[str, list[str]]] = []

    async def post(_path: str, json: list[dict[str, str]]) -> None:
        sent.append((json[0]["parent_task_run_id"], [one["idempotency_key"] for one in json]))
        raise httpx.ReadTimeout("played by the test")

    async def folder(*_: object) -> UUID:
        return uuid4()

    monkeypatch.setattr(shown, "CREATE_BATCH", 1)
    monkeypatch.setattr(shown, "folder", folder)
    monkeypatch.setattr(publisher, "client", SimpleNamespace(_client=SimpleNamespace(post=post)))
    await town.until("2023-12-01", "10:00")
    for _ in range(2):
        with pytest.raises(httpx.ReadTimeout):
            await publisher.publish(5)
    (first_folder, first), (second_folder, second) = sent
    assert first_folder != second_folder
    assert first == second
