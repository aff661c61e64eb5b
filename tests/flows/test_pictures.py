"""What the publisher saves itself: calls to Prefect are what limits how fast the board follows."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import AsyncMock
from uuid import UUID, uuid4

import httpx
import orjson
import pytest
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.context import AsyncClientContext
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL, temporary_settings

from congvan import board_check
from congvan.acts import board, extending, figures, leases, waking
from congvan.acts.board import Tile
from congvan.house import House
from congvan.rules.calendar import local
from congvan.settings import Settings
from congvan.store.tables import Campaign, Delivery, Hop
from flows import publishing
from flows import watch as watching
from flows.clients import client_of_board
from flows.publishing import Publisher
from flows.registered import Deployments
from flows.runs import Runs
from tasks import artifacts
from tasks import board as shown
from tests.protocol.world import Town


class Renewed:
    """Counts what is renewed; the page `gone` is not there."""

    def __init__(self, gone: str = "") -> None:
        self.pages: list[str] = []
        self.gone = gone

    async def hop(self, run_id: str, _issuer: str, _found: dict[str, Any]) -> None:
        if run_id == self.gone:
            raise ObjectNotFound(KeyError(run_id))
        self.pages.append(run_id)

    async def campaign(self, run_id: str, _status: dict[str, Any]) -> None:
        self.pages.append(run_id)


@pytest.fixture
def publisher(house: House) -> Publisher:
    """One whose calls to Prefect are replaced by the tests."""
    return made_publisher(house)


def made_publisher(house: House, board_client: PrefectClient | None = None) -> Publisher:
    client, nothing = cast("PrefectClient", None), Deployments(None)
    nothing.ids["delivery"] = uuid4()
    return Publisher(house, client, nothing, Runs(house, client, nothing), board_client)


async def test_a_campaigns_figures_are_made_once_for_some_hops_and_not_for_each_of_hundreds(
    town: Town, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    hops = [hop.id for hop in await town.all(Hop)]
    assert len(hops) == 4
    renewed = Renewed()
    monkeypatch.setattr(publisher, "_artifacts", renewed)
    monkeypatch.setattr(publishing, "PICTURES", 3)
    monkeypatch.setattr(publishing, "PICTURE_EVERY_S", 0.0)
    publisher._changed = dict.fromkeys(hops)
    await publisher._picture()
    assert renewed.pages == [*hops[:3], "campaign"]
    await publisher._picture()
    assert renewed.pages[4:] == [hops[3], "campaign"]
    await publisher._picture()
    assert len(renewed.pages) == 6, "what has not changed stays"


class Taken:
    """Prefect that takes everything, and remembers which runs were made and labelled anew, by their names, and in
    which state each was made and put."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[str] = []
        self.labelled: list[str] = []
        self.born: list[str] = []
        self.moved: list[tuple[str, str]] = []
        self.asked: set[object] = set()
        for name in ("create", "move", "relabel", "folder", "point"):
            monkeypatch.setattr(shown, name, getattr(self, name))

    async def create(self, client: object, _deployment: UUID, tiles: Sequence[Tile], *_: object) -> dict[str, str]:
        self.asked.add(client)
        self.made += [shown.run_name(tile) for tile in tiles]
        self.born += [shown.born(tile) for tile in tiles]
        return {tile.delivery_id: f"run of {tile.code}" for tile in tiles}

    async def move(
        self, client: object, run_ids: Sequence[str], kind: StateType, name: str, _wall: datetime
    ) -> set[str]:
        self.asked.add(client)
        self.moved += [(kind.value, name)] * len(run_ids)
        return set(run_ids)

    async def relabel(self, _client: object, _run_id: str, tile: Tile) -> None:
        self.labelled.append(shown.run_name(tile))

    async def folder(self, *_: object) -> None:
        return

    point = folder


@pytest.fixture
def taken(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> Taken:
    """What the publisher did to Prefect; events and artifacts are left out."""

    async def nothing(*_: object) -> None:
        return

    monkeypatch.setattr(publisher, "_tell", nothing)
    monkeypatch.setattr(publisher, "_picture", nothing)
    monkeypatch.setattr(publishing, "MAKE_WAY_S", 0.0)
    return Taken(monkeypatch)


async def test_a_page_that_is_gone_waits_behind_the_others_and_none_is_forgotten(
    town: Town, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *others = [hop.id for hop in await town.all(Hop)]
    renewed = Renewed(gone=first)
    monkeypatch.setattr(publisher, "_artifacts", renewed)
    monkeypatch.setattr(publishing, "PICTURES", 1)
    monkeypatch.setattr(publishing, "PICTURE_EVERY_S", 0.0)
    publisher._changed = dict.fromkeys([first, *others])
    for _ in range(5):
        await publisher._picture()
    assert [page for page in renewed.pages if page != "campaign"] == others
    renewed.gone = ""
    await publisher._picture()
    assert renewed.pages[-2] == first
    assert publisher._changed == {}


async def test_only_a_run_whose_state_changes_gets_new_tags(town: Town, publisher: Publisher, taken: Taken) -> None:
    publisher._doubtful = 1
    await town.until("2023-12-01", "10:00")
    await publisher.publish()
    # What a publisher before it may have made, and could not remember, has the tags of an older state.
    assert [name.split()[0] for name in taken.labelled] == ["BQL"]
    await town.say("BQL")
    await town.until("2023-12-01", "16:00")
    taken.labelled.clear()
    await publisher.publish()
    assert len(await town.all(Delivery, Delivery.run_id.is_not(None))) > 3
    assert [name.split()[0] for name in taken.labelled] == ["BQL"], "of all that were shown for the first time none"


async def test_the_board_makes_room_for_a_hop_that_is_on_its_way_and_not_for_ever(
    town: Town, publisher: Publisher, taken: Taken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "MAKE_WAY_S", 60.0)
    publisher._doubtful = 0
    await town.until("2023-12-01", "10:00")
    await publisher.publish()
    await town.say("BQL")
    assert await board.hops_at_work(publisher.house), "the board's own hop is due"
    await publisher.publish()
    assert taken.moved == [], "its state in Prefect comes before the picture of others"
    publisher._published -= 61
    await publisher.publish()
    assert taken.moved == [("COMPLETED", "Confirmed")]


async def test_where_the_board_has_a_server_of_its_own_pictures_go_there_and_make_room_for_nobody(
    house: House, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = cast("PrefectClient", object())
    publisher = made_publisher(house, own)
    publisher._doubtful = 0
    taken = Taken(monkeypatch)
    monkeypatch.setattr(publishing, "MAKE_WAY_S", 60.0)
    told: list[object] = []

    async def tell(client: object, *_: object) -> dict[str, str]:
        told.append(client)
        return {}

    monkeypatch.setattr(publishing.events, "tell", tell)
    monkeypatch.setattr(publisher, "_picture", AsyncMock())
    await town.until("2023-12-01", "10:00")
    await publisher.publish()
    await town.say("BQL")
    await publisher.publish()
    assert taken.moved == [("COMPLETED", "Confirmed")], "though a hop is due"
    assert taken.asked == {own}
    assert publisher._artifacts._client is own
    assert set(told) == {publisher.client} != {own}, "events go to the server that has automations"


async def test_the_server_of_the_board_is_asked_also_within_a_flow_which_has_a_client_of_its_own(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PrefectClient, "raise_for_api_version_mismatch", AsyncMock())
    own = settings.model_copy(update={"board_api_url": "http://127.0.0.1:10/api"})
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        async with AsyncClientContext.get_or_create() as within:
            async with client_of_board(own, within.client) as board_client:
                assert str(board_client.api_url).startswith("http://127.0.0.1:10/api")
            async with client_of_board(settings, within.client) as same:
                assert same is within.client


async def test_where_no_relay_is_alive_the_watch_shows_the_board(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    shows: list[bool] = []

    class Shows:
        def __init__(self, *_: object) -> None:
            pass

        async def publish(self, go_on: Callable[[], bool]) -> None:
            shows.append(go_on())

    monkeypatch.setattr(watching, "Publisher", Shows)
    monkeypatch.setattr(watching.Relay, "wakes", AsyncMock())
    await watching._relay_once(house, cast("PrefectClient", None))
    assert shows == [True]
    assert await leases.hold(dataclasses.replace(house, name="a relay"), leases.RELAY, timedelta(minutes=1))
    await watching._relay_once(house, cast("PrefectClient", None))
    assert shows == [True], "the relay does it"


async def test_a_recipients_run_is_found_by_campaign_level_park_segment_and_state(town: Town, house: House) -> None:
    await town.until("2023-12-01", "10:00")
    await town.say("BQL")
    await town.until("2023-12-01", "16:00")
    await town.pass_on("INV-A")
    await town.work()
    found = {tile.code: shown.tags(tile) for tile, _ in await board.tiles(house, town.campaign)}
    assert found["BQL"] == ["campaign:8184", "level:board", "state:Confirmed"]
    assert found["INV-B"] == ["campaign:8184", "level:investor", "state:AwaitingConfirmation"]
    assert found["T-CHEM"] == [
        "campaign:8184", "level:tenant", "state:AwaitingConfirmation", "park:P1", "segment:chemical",
    ]  # fmt: skip


class Pages:
    """Prefect's artifacts, by key."""

    def __init__(self) -> None:
        self.found: dict[str, ArtifactCreate] = {}
        self._client = self

    async def create_artifact(self, made: ArtifactCreate) -> Any:
        self.found[str(made.key)] = made
        return SimpleNamespace(id=uuid4())

    async def post(self, _path: str, json: object) -> httpx.Response:
        assert json
        return httpx.Response(200, json=[], request=httpx.Request("POST", "http://prefect/api/artifacts/filter"))


async def test_what_the_pages_of_a_hop_and_a_campaign_say(town: Town, house: House) -> None:
    await town.until("2023-12-01", "10:00")
    await town.say("BQL")
    await town.until("2023-12-01", "16:00")
    await town.say("INV-A")
    pages = Pages()
    made = artifacts.Artifacts(cast("PrefectClient", pages), "https://cong.van.example/x")
    hop = await figures.hop(house, (await town.hop("BQL")).id, artifacts.MOST_ROWS)
    await made.hop(str(uuid4()), "BQL", hop)
    await made.campaign(str(uuid4()), (await figures.status(house, "8184"))["campaigns"][0])
    rows = {row["Mã"]: row for row in orjson.loads(str(pages.found["hop-8184-bql-table"].data))}
    assert rows["INV-A"] == {
        "Mã": "INV-A", "Đơn vị": "Tổ chức INV-A", "Trạng thái": "Đã tiếp nhận", "Thời hạn": "08/12/2023 17:00",
        "Đã nhắc": 0,
    }  # fmt: skip
    share = pages.found["hop-8184-bql-progress"]
    assert (share.data, share.description) == (round(100 * hop["settled"] / hop["total"], 1), "Đã xong 1/5")
    text = str(pages.found["hop-8184-bql-summary"].data)
    assert "(https://cong.van.example/x/office/c/8184/deliveries?issuer=BQL)" in text
    lines = orjson.loads(str(pages.found["campaign-8184-table"].data))
    (line,) = (one for one in lines if one["Đơn vị chuyển"] == "BQL")
    assert (line["Tổng số"], line["Đã xong"], line["Trạng thái"]) == (len(rows), 1, "Đang theo dõi")
    assert "| Đã tiếp nhận | 1 |" in text
    text = str(pages.found["campaign-8184-summary"].data)
    assert "(https://cong.van.example/x/office/c/8184)" in text
    assert "@" not in "".join(str(one.data) for one in pages.found.values()), "no mailbox"


@pytest.mark.parametrize(
    ("doubtful", "moved"), [(0, []), (1, [("SCHEDULED", "AwaitingConfirmation")])], ids=["new", "perhaps made before"]
)
async def test_a_run_that_waits_in_time_is_made_in_one_call(
    town: Town, publisher: Publisher, taken: Taken, doubtful: int, moved: list[tuple[str, str]]
) -> None:
    publisher._doubtful = doubtful
    await town.until("2023-12-01", "10:00")
    await publisher.publish()
    assert taken.born == ["AwaitingConfirmation"]
    assert taken.moved == moved
    await town.say("BQL")
    await publisher.publish()
    assert taken.moved[len(moved) :] == [("COMPLETED", "Confirmed")]


async def test_a_run_that_is_first_shown_when_its_term_has_brought_reminders_has_the_deadline_as_its_date_all_the_same(
    town: Town, publisher: Publisher, taken: Taken
) -> None:
    publisher._doubtful = 0
    await town.until("2023-12-15", "10:00")
    (tile,) = await board.unpublished(publisher.house, 1)
    assert tile.reminders
    await publisher.publish()
    assert taken.born == ["Queued"], "a run that is made in another state than a scheduled one has no date"
    assert taken.moved == [tile.shown]


async def test_a_deadline_that_is_extended_is_named_in_prefect_too(
    town: Town, house: House, publisher: Publisher, taken: Taken
) -> None:
    publisher._doubtful = 0
    await town.until("2023-12-01", "10:00")
    await publisher.publish()
    (asked,) = await town.all(Delivery, Delivery.recipient == "BQL")
    later = asked.due_at + timedelta(days=7)
    assert f"{local(asked.due_at):%d/%m/%Y}" in taken.made[0]
    await extending.extend(house, asked.id, later, "Lan", "theo đề nghị")
    for _ in range(2):
        await publisher.publish()
    (name,) = taken.labelled
    assert name.endswith(f"hạn {local(later):%d/%m/%Y %H:%M}")


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
    monkeypatch.setattr(publisher, "_tell", AsyncMock())
    monkeypatch.setattr(publisher, "board_client", SimpleNamespace(_client=SimpleNamespace(post=post)))
    await town.until("2023-12-01", "10:00")
    for _ in range(2):
        with pytest.raises(httpx.ReadTimeout):
            await publisher.publish()
    (first_folder, first), (second_folder, second) = sent
    assert first_folder != second_folder
    assert first == second
    assert publisher._lost == {one.removeprefix("delivery-").rpartition("-")[0] for one in first}, "tagged anew if made"


async def test_a_campaign_that_grows_too_large_for_runs_keeps_those_that_it_has(house: House, town: Town) -> None:
    """They stood for ever as they stood before the last one joined: scheduled, and late."""
    await town.until("2023-12-01", "10:00")
    await town.say("BQL")
    most = len(await town.all(Delivery)) - 1
    async with house.store.act() as ledger:
        await ledger.change(Delivery, Delivery.recipient == "BQL", run_id="a run", board_state="AwaitingConfirmation")
    assert await board.pass_over(house, most) == []
    assert [tile.code for tile in await board.unpublished(house, most=most)] == ["BQL"]
    async with house.store.act() as ledger:
        await ledger.change(Delivery, run_id=None)
    assert await board.pass_over(house, most) == [], "also while none of them stands in Prefect"


async def test_a_board_that_is_to_be_shown_again_is_unseen_in_every_part(house: House, town: Town) -> None:
    await town.until("2023-12-01", "10:00")
    for table in (Campaign, Hop, Delivery):
        async with house.store.act() as ledger:
            await ledger.change(table, board_seen=table.board_seq)
    recipients = await town.all(Delivery)
    assert await board.repaint(house, (await town.one(Campaign)).code) == len(recipients)
    assert [row for table in (Campaign, Hop, Delivery) for row in await town.all(table) if row.board_seen] == []


async def test_the_check_of_the_board_names_campaigns_of_which_only_tables_tell_and_looks_for_nobody_of_theirs(
    house: House, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    await town.until("2023-12-01", "10:00")
    opened = len(await board.tiles(house, town.campaign))
    small = dataclasses.replace(house, settings=house.settings.model_copy(update={"board_runs": opened}))
    assert await board.pass_over(small, opened) != [], "it has more recipients than have been written to"
    (campaign,) = await town.all(Campaign)
    assert await board_check.compare(small, "http://prefect") == board_check.Found(0, 0, (), (campaign.code,))


async def test_who_answers_and_is_shown_while_the_board_is_checked_is_no_difference(
    house: House, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands of runs are read for minutes. Whoever is shown wrongly all the time is one."""
    await town.until("2023-12-01", "10:00")
    answers = [lambda: town.say("BQL")]

    async def seen() -> tuple[str, str]:
        async with house.store.act() as ledger:
            await ledger.change(Delivery, Delivery.recipient == "BQL", run_id="a run", board_seen=Delivery.board_seq)
        return next(tile.shown for tile, _ in await board.tiles(house, town.campaign) if tile.run_id)

    async def given(_: httpx.Request) -> httpx.Response:
        if answers:
            await answers.pop()()
        kind, name = wrong or await seen()
        return httpx.Response(200, json=[{"id": "a run", "state_type": kind, "state_name": name}])

    made = partial(httpx.AsyncClient, transport=httpx.MockTransport(given))
    monkeypatch.setattr(board_check.httpx, "AsyncClient", made)
    wrong: tuple[str, str] | tuple[()] = ()
    before = await seen()
    found = await board_check.compare(house, "http://prefect")
    assert (found.compared, found.differences) == (1, ())
    assert await seen() != before, "it has answered meanwhile"
    wrong = before
    (difference,) = (await board_check.compare(house, "http://prefect")).differences
    assert difference.shown == " ".join(before)


async def test_the_check_of_the_board_shows_prefects_password(
    house: House, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["Authorization"])
        return httpx.Response(200, json=[])

    await town.until("2023-12-01", "10:00")
    async with house.store.act() as ledger:
        await ledger.change(Delivery, Delivery.recipient == "BQL", run_id="a run", board_seen=Delivery.board_seq)
    made = partial(httpx.AsyncClient, transport=httpx.MockTransport(answer))
    monkeypatch.setattr(board_check.httpx, "AsyncClient", made)
    await board_check.compare(house, "http://prefect", "admin:pass")
    assert set(asked) == {"Basic YWRtaW46cGFzcw=="}


@pytest.mark.usefixtures("taken")
async def test_what_was_shown_is_told_as_an_event_also_where_another_call_has_failed(
    town: Town, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is shown, so nobody looks at it again: automations waited for its event for ever."""
    told: list[str] = []

    async def tell(_client: object, tiles: Sequence[Tile], *_: object) -> dict[str, str]:
        told.extend(tile.code for tile in tiles)
        return {}

    async def lost(*_: object) -> None:
        raise httpx.ReadTimeout("played by the test")

    monkeypatch.setattr(publisher, "_tell", partial(Publisher._tell, publisher))
    monkeypatch.setattr(publishing.events, "tell", tell)
    await town.until("2023-12-01", "10:00")
    moving = publisher._move
    monkeypatch.setattr(publisher, "_move", lambda members: [*moving(members), lost()])
    with pytest.raises(httpx.ReadTimeout):
        await publisher.publish()
    assert (told, await board.unpublished(publisher.house)) == (["BQL"], [])
    monkeypatch.setattr(publisher, "_move", moving)
    await publisher.publish()
    assert told == ["BQL"], "once"


@pytest.mark.usefixtures("taken")
async def test_an_event_that_prefect_could_not_take_is_told_again_though_nothing_changes(
    town: Town, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[list[str]] = []

    async def tell(_client: object, tiles: Sequence[Tile], *_: object) -> dict[str, str]:
        told.append([tile.code for tile in tiles])
        if len(told) == 1:
            raise httpx.HTTPError("played by the test")
        return {}

    monkeypatch.setattr(publisher, "_tell", partial(Publisher._tell, publisher))
    monkeypatch.setattr(publishing.events, "tell", tell)
    await town.until("2023-12-01", "10:00")
    await publisher.publish()
    assert told == [["BQL"]], "and not again at once"
    publisher._told_at -= publishing.TELL_AGAIN_S
    await publisher.publish()
    assert told == [["BQL"]] * 2
    publisher._told_at -= publishing.TELL_AGAIN_S
    await publisher.publish()
    assert told == [["BQL"]] * 2, "once"


@pytest.mark.usefixtures("taken")
async def test_what_prefect_does_not_take_is_not_asked_again_without_a_pause(
    town: Town, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    async def create(*_: object) -> dict[str, str]:
        nonlocal asked
        asked += 1
        assert asked < 5, "it goes round and round"
        return {}

    monkeypatch.setattr(shown, "create", create)
    await town.until("2023-12-01", "10:00")
    await publisher.publish()
    assert asked == 1
    await publisher.publish()
    assert asked == 2


@pytest.mark.parametrize(("runs", "at_once"), [(2_000, 1), (50_000, 2)])
async def test_several_bulk_calls_are_under_way_where_prefect_is_on_postgresql(
    town: Town, house: House, monkeypatch: pytest.MonkeyPatch, runs: int, at_once: int
) -> None:
    under_way = most = 0
    together = asyncio.Event()

    async def create(_c: object, _d: UUID, tiles: Sequence[Tile], *_: object) -> dict[str, str]:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        if most == 2:
            together.set()
        with suppress(TimeoutError):
            await asyncio.wait_for(together.wait(), 0.2)
        under_way -= 1
        return {tile.delivery_id: f"run of {tile.code}" for tile in tiles}

    Taken(monkeypatch)
    monkeypatch.setattr(shown, "create", create)
    larger = dataclasses.replace(house, settings=house.settings.model_copy(update={"board_runs": runs}))
    publisher = made_publisher(larger)
    await town.until("2023-12-01", "10:00")
    await town.say("BQL")
    await town.until("2023-12-04", "10:00")
    tiles = await board.unpublished(house)
    assert len({tile.hop_id for tile in tiles}) == 2
    await publishing._together(publisher._create(tiles))
    assert most == at_once


async def test_a_hop_that_waits_for_its_process_is_not_asked_about_until_its_turn_begins(
    house: House, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hundreds are due at the same hour, and a few have a process at a time."""
    made = 0

    async def make(*_: object, **_given: object) -> SimpleNamespace:
        nonlocal made
        made += 1
        return SimpleNamespace(id=uuid4(), state=None)

    async def folder(*_: object) -> UUID:
        return uuid4()

    monkeypatch.setattr(shown, "folder", folder)
    leaving = SimpleNamespace(type=StateType.RUNNING, timestamp=house.clock.wall())
    client = SimpleNamespace(create_flow_run_from_deployment=make)
    deployments = Deployments(None)
    deployments.ids["hop"] = uuid4()
    runs = Runs(house, cast("PrefectClient", client), deployments)
    hop = (await town.all(Hop))[0]

    async def looked_at() -> bool:
        now, wall = await house.clock.now(), house.clock.wall()
        async with house.store.view() as ledger:
            free = await waking.due_hops(ledger, now, free_at=wall, without=runs.left_alone())
        return hop.id in [one.id for one in free]

    async def turned(by: int) -> None:
        hop.turns += by
        async with house.store.act() as ledger:
            await ledger.change(Hop, Hop.id == hop.id, turns=hop.turns)

    assert await looked_at()
    await runs.wake([hop])
    assert (made, await looked_at()) == (1, False)
    await turned(1)
    assert await looked_at(), "a turn has begun: whatever is due now is due anew"
    hop.run_id = "the run"
    monkeypatch.setattr(runs, "_read", lambda _: _known(leaving))
    await runs.wake([hop])
    assert await looked_at(), "a run that leaves just now is asked again at once"
    await turned(-1)
    assert not await looked_at()
    runs.forget()
    assert await looked_at(), "another Prefect knows nothing of it"


async def _known(state: SimpleNamespace) -> dict[str, SimpleNamespace]:
    return {"the run": SimpleNamespace(id="the run", state=state)}


@pytest.mark.parametrize(
    ("state", "leased", "woken"),
    [
        ("2023-12-01 09:58", "2023-12-01 09:59", True),
        ("2023-12-01 09:59:30", "2023-12-01 10:01", False),
        ("2023-12-01 09:59:30", "2023-12-01 09:59", False),
        ("2023-12-01 09:59:30", None, False),
        ("2023-12-01 09:58", None, True),
    ],
    ids=["died in its turn", "at work", "come since", "starting", "never came"],
)
async def test_a_run_whose_process_died_in_its_turn_is_woken_as_soon_as_the_lease_has_run_out(
    house: House, town: Town, state: str, leased: str | None, woken: bool
) -> None:
    await town.until("2023-12-01", "10:00")
    hop = (await town.all(Hop))[0]
    wall = datetime(2023, 12, 1, 10, tzinfo=UTC)
    hop.lease_until = datetime.fromisoformat(leased).replace(tzinfo=UTC) if leased else None
    at = datetime.fromisoformat(state).replace(tzinfo=UTC)
    run = SimpleNamespace(state=SimpleNamespace(type=StateType.RUNNING, timestamp=at))
    runs = Runs(house, cast("PrefectClient", None), Deployments(None))
    house.clock.wall = lambda: wall  # type: ignore[method-assign]
    assert await runs._may_wake(hop, cast("FlowRun", run)) is woken
