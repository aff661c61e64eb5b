"""What the relay makes of Prefect's runs when somebody has deleted, cancelled or moved them there."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from itertools import permutations
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

import httpx
import pytest
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import State, StateType
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from sqlalchemy import select

from congvan.acts import board as board_acts
from congvan.acts import campaigns, hops, notices, pausing, prefect_runs, waking
from congvan.house import House
from congvan.store.tables import Campaign, Delivery, Hop, Note
from flows import in_turn, left_behind
from flows.left_behind import end_left_behind
from flows.registered import FLOWS, Deployments
from flows.relay import Relay
from flows.runs import Runs
from flows.watch import watch
from tasks import Tripped, at_work, board, events
from tests.protocol.world import Town


class Prefect:
    """A server that keeps runs and their states in memory. Whatever stands below a run that is gone is refused."""

    def __init__(self) -> None:
        self.runs: dict[str, SimpleNamespace] = {}
        self.posted: list[Any] = []
        self.away = False
        self._client = self
        #: Deployments by name, and the queue from which their runs are taken.
        self.ids = {name: uuid4() for name in FLOWS}
        self.queue: UUID | None = None
        self.flow = uuid4()
        #: Idempotency keys of runs; answers that are lost on their way.
        self.keys: dict[str, str] = {}
        self.lost = 0
        #: Runs that were given out by id.
        self.given: list[SimpleNamespace] = []

    def made(
        self, kind: StateType, at: datetime, *, queue: UUID | None = None, deployment: UUID | None = None, **words: str
    ) -> str:
        """A run in this state since then, with these parameters."""
        run_id = str(uuid4())
        details = SimpleNamespace(scheduled_time=at)
        name = "AwaitingConfirmation" if kind in (StateType.RUNNING, StateType.SCHEDULED) else ""
        state = SimpleNamespace(id=uuid4(), type=kind, name=name, timestamp=at, state_details=details)
        self.runs[run_id] = SimpleNamespace(
            id=UUID(run_id), name="a run", state=state, work_queue_id=queue, deployment_id=deployment, parameters=words
        )
        return run_id

    def stop(self, run_id: str, kind: StateType, at: datetime) -> None:
        """As an operator does in Prefect's UI."""
        self.runs[run_id].state = SimpleNamespace(id=uuid4(), type=kind, name="", timestamp=at)

    async def read_flow_runs(self, *, flow_run_filter: Any, limit: int, offset: int = 0) -> list[SimpleNamespace]:
        assert limit
        if self.away:
            raise httpx.ConnectError("played by the test")
        if flow_run_filter.deployment_id is not None:
            ours, kinds = flow_run_filter.deployment_id.any_, flow_run_filter.state.type.any_
            left_out = flow_run_filter.id.not_any_ if flow_run_filter.id else []
            found = [run for run in self.runs.values() if run.deployment_id in ours and run.state.type in kinds]
            found = [run for run in found if run.id not in left_out]
            late = flow_run_filter.next_scheduled_start_time
            return [run for run in found if not late or run.state.state_details.scheduled_time <= late.before_][:limit]
        usual = flow_run_filter.state.type.not_any_ if flow_run_filter.state else []
        found = [self.runs[str(key)] for key in flow_run_filter.id.any_ if str(key) in self.runs]
        self.given += (given := [run for run in found if run.state.type not in usual][offset : offset + limit])
        return given

    async def set_flow_run_state(self, run_id: UUID, state: Any, *, force: bool) -> SimpleNamespace:
        assert force
        if str(run_id) not in self.runs:
            raise ObjectNotFound(KeyError(run_id))
        self.runs[str(run_id)].state = state
        return SimpleNamespace(state=state)

    async def delete_flow_run(self, run_id: UUID) -> None:
        del self.runs[str(run_id)]

    async def create_flow_run_from_deployment(
        self, deployment_id: UUID, *, state: Any, **_words: Any
    ) -> SimpleNamespace:
        run_id = str(uuid4())
        self.runs[run_id] = SimpleNamespace(
            id=UUID(run_id), name="a run", state=state, work_queue_id=self.queue, deployment_id=deployment_id
        )
        return self.runs[run_id]

    async def read_deployment(self, deployment_id: UUID) -> SimpleNamespace:
        if deployment_id not in self.ids.values():
            raise ObjectNotFound(KeyError(deployment_id))
        return SimpleNamespace(paused=False, schedules=[], work_queue_id=self.queue, flow_id=self.flow)

    async def read_deployments(self, *, deployment_filter: Any) -> list[SimpleNamespace]:
        return [SimpleNamespace(id=key) for key in self.ids.values() if key in deployment_filter.id.any_]

    async def create_task_run(self, *, flow_run_id: UUID, **_words: Any) -> SimpleNamespace:
        if str(flow_run_id) not in self.runs:
            request = httpx.Request("POST", "http://prefect/task_runs")
            raise PrefectHTTPStatusError("conflict", request=request, response=httpx.Response(409, request=request))
        return SimpleNamespace(id=uuid4())

    async def update_flow_run(self, run_id: UUID, *, name: str) -> None:
        self.runs[str(run_id)].name = name

    async def post(self, path: str, json: Any) -> httpx.Response:
        if self.away:
            raise httpx.ConnectError("played by the test")
        self.posted.append(json)
        found: dict[str, Any] = {}
        if path == "/flow_runs/":
            made = self.keys.get(json["idempotency_key"]) or self.made(StateType.RUNNING, datetime.now(UTC))
            self.keys[json["idempotency_key"]] = found["id"] = made
        elif path == "/flow_runs/bulk_delete":
            found["deleted"] = [key for key in json["flow_runs"]["id"]["any_"] if self.runs.pop(key, None)]
        elif path == "/flow_runs/bulk_set_state":
            put = [key for key in json["flow_runs"]["id"]["any_"] if key in self.runs]
            for key in put:
                self.runs[key].state = State(type=json["state"]["type"], name=json["state"]["name"])
            found["results"] = [{"flow_run_id": key, "status": "ACCEPT"} for key in put]
        if self.lost:
            self.lost -= 1
            raise httpx.ReadTimeout("played by the test")
        return httpx.Response(200, json=found, request=httpx.Request("POST", path))


@pytest.fixture
def prefect() -> Prefect:
    """One that knows nothing yet."""
    return Prefect()


@pytest.fixture
def runs(house: House, prefect: Prefect) -> Runs:
    """The relay's hands on it."""

    async def register(_client: object) -> dict[str, UUID]:
        prefect.queue = prefect.queue or uuid4()
        return dict(prefect.ids)

    deployments = Deployments(register, pooled=True)
    deployments.ids |= prefect.ids
    return Runs(house, cast("PrefectClient", prefect), deployments)


CLOSED = {"state": "CLOSED", "closed_by": "Lan", "closed_at": datetime(2023, 12, 20, tzinfo=UTC)}


async def put(town: Town, table: Any, *where: Any, **values: Any) -> None:
    async with town.house.store.act() as ledger:
        await ledger.change(table, *where, **values)


# ------------------------------------------------------------------------------------ deleted runs


async def test_a_closed_campaign_whose_run_was_deleted_gets_another_one(house: House, town: Town, runs: Runs) -> None:
    """The relay ended at every start before: the run was not found, and was looked for first of all."""
    await put(town, Campaign, run_id=str(uuid4()), board_seen=0, **CLOSED)
    await runs.campaigns()
    assert (await town.one(Campaign)).run_id is None
    (left,) = await prefect_runs.unfinished_campaigns(house)
    assert left.run_id is None, "made anew at the next pass"


async def test_a_hop_that_cannot_be_made_keeps_no_campaign_from_being_mended(
    town: Town, prefect: Prefect, runs: Runs
) -> None:
    """Its campaign's page was deleted too, and is forgotten at the next look, so that both are made again."""
    await town.until("2023-12-01", "10:00")
    await put(town, Hop, run_id=None, board_seen=Hop.board_seq)
    await put(town, Campaign, run_id=str(uuid4()))
    await runs.compare()
    assert (await town.one(Campaign)).run_id is None
    await put(town, Campaign, run_id=prefect.made(StateType.RUNNING, town.clock.wall()))
    await runs.compare()
    assert [hop.issuer for hop in await town.all(Hop, Hop.run_id.is_not(None))] == ["UBND-HP"]


# ------------------------------------------------------------------------------------ pages and ends


async def test_a_page_ends_with_its_hop_and_opens_again_with_it(town: Town, prefect: Prefect, runs: Runs) -> None:
    await town.until("2023-12-01", "10:00")
    await put(town, Campaign, run_id=prefect.made(StateType.RUNNING, town.clock.wall()))
    page = prefect.made(StateType.RUNNING, town.clock.wall())
    run = prefect.made(StateType.SCHEDULED, town.clock.wall())
    (hop,) = await town.all(Hop, Hop.issuer == "UBND-HP")
    await put(town, Hop, Hop.id == hop.id, page_id=page, run_id=run, state="SETTLED", board_seq=Hop.board_seq + 1)
    await runs.compare()
    assert (prefect.runs[page].state.type, prefect.runs[page].state.name) == (StateType.COMPLETED, "Settled")
    await put(town, Hop, Hop.id == hop.id, state="OPEN", board_seq=Hop.board_seq + 1)
    await runs.compare()
    assert prefect.runs[page].state.type is StateType.RUNNING


async def test_the_runs_of_a_closed_campaign_end_and_are_not_looked_at_again(
    house: House, town: Town, prefect: Prefect, runs: Runs
) -> None:
    await town.until("2023-12-01", "10:00")
    page, run = (prefect.made(StateType.SCHEDULED, town.clock.wall()) for _ in range(2))
    (hop,) = await town.all(Hop, Hop.issuer == "UBND-HP")
    await put(town, Hop, Hop.id == hop.id, page_id=page, run_id=run)
    await put(town, Campaign, **CLOSED)
    await runs.compare()
    assert {prefect.runs[key].state.name for key in (page, run)} == {"Closed"}
    assert await prefect_runs.open_hops(house) == []


async def test_a_campaign_that_is_closed_leaves_no_hop_asleep_for_ever(
    house: House, town: Town, prefect: Prefect, runs: Runs
) -> None:
    """Prefect started a process every thirty days for each that had not opened, or whose last change was shown."""
    await town.until("2023-12-01", "10:00")
    wall = town.clock.wall()
    await put(town, Campaign, run_id=prefect.made(StateType.RUNNING, wall), board_seq=2, board_seen=1, **CLOSED)
    opened, waiting, due = [await town.hop(issuer) for issuer in ("UBND-HP", "BQL", "INV-A")]
    keys = {}
    for hop, wake in ((opened, wall), (waiting, None), (due, wall + timedelta(days=1))):
        keys[hop.id] = prefect.made(StateType.SCHEDULED, wall + timedelta(days=1))
        shown = {"run_id": keys[hop.id], "page_id": None, "board_seen": Hop.board_seq}
        await put(town, Hop, Hop.id == hop.id, wake_at=wake, **shown)
    await runs.campaigns()
    assert [prefect.runs[keys[hop.id]].state.name for hop in (opened, waiting)] == ["Closed", "Closed"]
    assert prefect.runs[keys[due.id]].state.type is StateType.SCHEDULED, "its company may still pass the letter on"
    assert (await prefect_runs.unfinished_campaigns(house), await prefect_runs.open_hops(house)) == ([], [])


async def test_a_campaign_that_is_closed_while_a_turn_is_under_way_ends_all_its_runs_when_that_has_ended(
    house: House, town: Town, prefect: Prefect, runs: Runs
) -> None:
    """One that had been killed took a place of its queue for ever, and one that set its sleep slept for thirty days."""
    await town.until("2023-12-01", "10:00")
    wall = town.clock.wall()
    page = prefect.made(StateType.RUNNING, wall)
    await put(town, Campaign, run_id=page, board_seq=2, board_seen=1, **CLOSED)
    hop = await town.hop("UBND-HP")
    at_work = prefect.made(StateType.RUNNING, wall)
    await put(town, Hop, page_id=None, board_seen=Hop.board_seq)
    await put(town, Hop, Hop.id == hop.id, run_id=at_work, lease_until=wall + house.lease)
    await runs.campaigns()
    assert [prefect.runs[key].state.type for key in (page, at_work)] == [StateType.RUNNING] * 2
    town.clock.forward(seconds=house.lease.total_seconds() + 1)
    await runs.campaigns()
    assert {prefect.runs[key].state.name for key in (page, at_work)} == {"Closed"}
    assert await prefect_runs.unfinished_campaigns(house) == []


async def test_the_hops_of_a_closed_campaign_end_by_few_calls_also_those_of_which_only_the_page_is_left(
    town: Town, prefect: Prefect, runs: Runs
) -> None:
    await town.until("2023-12-01", "10:00")
    wall = town.clock.wall()
    await put(town, Campaign, run_id=prefect.made(StateType.RUNNING, wall), board_seq=2, board_seen=1, **CLOSED)
    hops = await town.all(Hop)
    for number, hop in enumerate(hops):
        run = prefect.made(StateType.SCHEDULED, wall) if number else None
        page = prefect.made(StateType.RUNNING, wall)
        await put(town, Hop, Hop.id == hop.id, run_id=run, page_id=page, wake_at=None, board_seen=Hop.board_seq)
    await runs.campaigns()
    assert {run.state.name for run in prefect.runs.values()} == {"Closed"}
    assert len(prefect.posted) == 1


# ------------------------------------------------------------------------------------ what pages show


async def _on_show(town: Town, prefect: Prefect) -> tuple[str, str, str]:
    """A campaign, a hop's page and its run, as they stand while everybody waits."""
    await town.until("2023-12-01", "10:00")
    wall = town.clock.wall()
    page, below = prefect.made(StateType.RUNNING, wall), prefect.made(StateType.RUNNING, wall)
    run = prefect.made(StateType.SCHEDULED, wall + timedelta(days=1))
    hop = await town.hop("UBND-HP")
    await put(town, Campaign, run_id=page)
    await put(town, Hop, Hop.id == hop.id, page_id=below, run_id=run, board_seen=Hop.board_seq)
    prefect.runs[below].name = board.page_name(await prefect_runs.run_of_hop(town.house, hop.id))
    return page, below, run


async def test_a_campaign_that_is_held_says_so_wherever_it_is_shown_until_it_goes_on(
    town: Town, prefect: Prefect, runs: Runs
) -> None:
    shown = await _on_show(town, prefect)
    await campaigns.hold(town.house, town.campaign, "Lan", "xem lại")
    await runs.compare()
    assert [prefect.runs[key].state.name for key in shown] == ["Held"] * 3
    states = [prefect.runs[key].state for key in shown]
    await runs.compare()
    assert all(prefect.runs[key].state is state for key, state in zip(shown, states, strict=True)), "set once"
    await campaigns.resume(town.house, town.campaign, "Lan")
    await runs.compare()
    assert [prefect.runs[key].state.name for key in shown] == ["AwaitingConfirmation"] * 3


@pytest.fixture
async def many(town: Town, prefect: Prefect, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[str, str]]:
    """More hops than a look compares, open and asleep: each with its run and its page."""
    monkeypatch.setattr(in_turn, "AT_A_LOOK", 1)
    wall, at = town.clock.wall(), await town.clock.now()
    await put(town, Campaign, run_id=prefect.made(StateType.RUNNING, wall))
    opened = {}
    for hop in await town.all(Hop):
        run, page = prefect.made(StateType.SCHEDULED, wall + timedelta(days=1)), prefect.made(StateType.RUNNING, wall)
        words = {"state": "OPEN", "opened_at": at, "due_at": at + timedelta(days=9), "wake_at": None}
        await put(town, Hop, Hop.id == hop.id, run_id=run, page_id=page, board_seen=Hop.board_seq, **words)
        prefect.runs[page].name = board.page_name(await prefect_runs.run_of_hop(town.house, hop.id))
        opened[hop.id] = run, page
    assert len(opened) > 2
    return opened


def _named(prefect: Prefect, keys: Iterable[tuple[str, str]]) -> set[str]:
    return {prefect.runs[key].state.name for both in keys for key in both}


async def test_of_many_hops_each_look_compares_some_and_the_first_compares_all(
    prefect: Prefect, runs: Runs, many: dict[str, tuple[str, str]]
) -> None:
    every = {key for both in many.values() for key in both}

    async def given() -> set[str]:
        prefect.given.clear()
        await runs.compare()
        return {str(run.id) for run in prefect.given} & every

    assert await given() == every
    seen = [await given() for _ in many]
    assert all(len(one) == 2 for one in seen), "one hop's run and page"
    assert set.union(*seen) == every, "each in its turn"
    prefect.away = True
    with pytest.raises(httpx.ConnectError):
        await runs.compare()
    prefect.away = False
    assert await given() == seen[0], "a look that failed is made again"
    runs.forget()
    assert await given() == every, "another Prefect"


async def test_of_many_hops_every_one_that_died_or_was_stopped_is_seen_at_once(
    town: Town, prefect: Prefect, runs: Runs, many: dict[str, tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_turn, "PAGE", 1)
    await runs.compare()
    wall = town.clock.wall()
    for run, page in many.values():
        prefect.stop(run, StateType.CRASHED, wall)
        prefect.stop(page, StateType.FAILED, wall)
    await runs.compare()
    assert {prefect.runs[run].state.type for run, _ in many.values()} == {StateType.SCHEDULED}
    assert {prefect.runs[page].state.type for _, page in many.values()} == {StateType.RUNNING}
    for kind in (StateType.CANCELLED, StateType.PAUSED):
        for run, _ in many.values():
            prefect.stop(run, kind, wall)
        await runs.compare()
        assert (await town.one(Campaign)).held_at is not None
        await campaigns.resume(town.house, town.campaign, "Lan")
        for _ in many:
            await runs.compare()
        assert (await town.one(Campaign)).held_at is None, "what was decided is not asked again"
        for run, _ in many.values():
            prefect.stop(run, StateType.CRASHED, wall)
        await runs.compare()


async def test_of_many_hops_all_say_that_their_campaign_is_held_also_after_a_look_that_failed(
    town: Town, prefect: Prefect, runs: Runs, many: dict[str, tuple[str, str]]
) -> None:
    await runs.compare()
    await campaigns.hold(town.house, town.campaign, "Lan", "xem lại")
    prefect.away = True
    with pytest.raises(httpx.ConnectError):
        await runs.compare()
    prefect.away = False
    await runs.compare()
    assert _named(prefect, many.values()) == {"Held"}


async def test_of_many_hops_one_that_was_deleted_is_made_again_in_its_turn(
    town: Town, prefect: Prefect, runs: Runs, many: dict[str, tuple[str, str]]
) -> None:
    await runs.compare()
    (gone, (run, _)), *_ = many.items()
    del prefect.runs[run]
    # One round until it is seen, and the next look.
    for _ in range(len(many) + 1):
        await runs.compare()
    (hop,) = await town.all(Hop, Hop.id == gone)
    assert hop.run_id != run
    assert hop.run_id in prefect.runs


async def test_a_page_has_the_deadline_that_its_hop_has_now(town: Town, prefect: Prefect, runs: Runs) -> None:
    _, below, _ = await _on_show(town, prefect)
    hop = await town.hop("UBND-HP")
    await put(town, Hop, Hop.id == hop.id, due_at=datetime(2023, 12, 11, 10, tzinfo=UTC))
    await runs.compare()
    assert prefect.runs[below].name.endswith("hạn 11/12/2023 17:00 · các đơn vị nhận")
    name = board.hop_name(await prefect_runs.run_of_hop(town.house, hop.id))
    assert name.endswith(" UBND-HP " + hop.issuer_name), "its own run is named once, when it is made"


async def test_a_page_that_was_deleted_is_made_again_with_everybody_on_it(
    town: Town, prefect: Prefect, runs: Runs
) -> None:
    """Whoever stood on it would stand on none."""
    _, below, _ = await _on_show(town, prefect)
    hop = await town.hop("UBND-HP")
    old = prefect.made(StateType.SCHEDULED, town.clock.wall())
    await put(town, Delivery, Delivery.hop_id == hop.id, run_id=old, board_seen=Delivery.board_seq)
    await runs.look_for_page(hop.id)
    assert (await town.hop("UBND-HP")).page_id == below
    del prefect.runs[below]
    await runs.compare()
    assert (await town.hop("UBND-HP")).page_id is None
    assert old not in prefect.runs
    (again,) = await board_acts.unpublished(town.house)
    assert (again.code, again.run_id) == ("BQL", None)


async def test_a_page_that_was_made_again_is_not_forgotten_in_place_of_the_one_that_was_deleted(
    house: House, town: Town, prefect: Prefect, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The board looks at its pages beside the comparison, which has read them all before."""
    _, below, _ = await _on_show(town, prefect)
    hop = await town.hop("UBND-HP")
    del prefect.runs[below]
    read = runs._read

    async def read_meanwhile(keys: Any) -> Any:
        found = await read(keys)
        if below in keys:
            await prefect_runs.forget_page(house, hop.id, below)
            await runs.page(hop.id)
            await put(town, Delivery, Delivery.hop_id == hop.id, run_id="a new run")
        return found

    monkeypatch.setattr(runs, "_read", read_meanwhile)
    await runs.compare()
    assert (await town.hop("UBND-HP")).page_id in prefect.runs
    assert {row.run_id for row in await town.all(Delivery, Delivery.hop_id == hop.id)} == {"a new run"}


async def test_an_answer_that_is_lost_while_a_campaign_gets_its_page_makes_no_second_page(
    town: Town, prefect: Prefect, runs: Runs
) -> None:
    await put(town, Campaign, run_id=None)
    prefect.lost = 2
    for _ in range(2):
        with pytest.raises(httpx.ReadTimeout):
            await runs.campaigns()
    await runs.campaigns()
    assert list(prefect.runs) == [(await town.one(Campaign)).run_id]


# ------------------------------------------------------------------------------------ who is woken


POOLS = [None, UUID(int=1), UUID(int=2)]


@pytest.mark.parametrize(("before", "now"), list(permutations(POOLS, 2)))
async def test_a_run_that_slept_in_another_work_pool_or_in_none_is_made_again_where_somebody_comes_by(
    town: Town, prefect: Prefect, runs: Runs, before: UUID | None, now: UUID | None
) -> None:
    await town.until("2023-12-01", "10:00")
    wall = town.clock.wall()
    await put(town, Campaign, run_id=prefect.made(StateType.RUNNING, wall))
    old = prefect.made(StateType.SCHEDULED, wall, queue=before, deployment=prefect.ids["hop"])
    hop = (await town.all(Hop, Hop.issuer == "UBND-HP"))[0]
    hop.run_id = old
    runs.deployments.queue_id = prefect.queue = before
    await runs.wake([hop])
    assert old in prefect.runs, "it is where it should be"
    runs.deployments.queue_id = prefect.queue = now
    await runs.wake([hop])
    assert old not in prefect.runs
    hop = await town.one(Hop, Hop.id == hop.id)
    assert prefect.runs[str(hop.run_id)].work_queue_id == now
    await runs.wake([hop])
    assert str(hop.run_id) in prefect.runs, "once"


async def test_hops_whose_queue_was_deleted_are_registered_in_another_one(prefect: Prefect, runs: Runs) -> None:
    client, deployments = runs.client, runs.deployments
    prefect.queue = uuid4()
    assert not await deployments.ensure(client)
    prefect.queue = None
    assert await deployments.ensure(client)
    assert deployments.queue_id == prefect.queue
    assert not await deployments.ensure(client), "once"


async def test_a_deployment_that_was_deleted_is_registered_again_and_the_board_stays_as_it_is(
    house: House, town: Town, prefect: Prefect, runs: Runs
) -> None:
    """The board was doubled: every campaign, hop and recipient got another run beside the first."""
    prefect.queue = uuid4()
    await put(town, Campaign, run_id="a page")
    await put(town, Delivery, run_id="a run")
    assert await prefect_runs.know_prefect(house, await runs.campaign_flow())
    for name in ("hop", "watch"):
        prefect.ids[name] = uuid4()
        await runs.deployments.look_for_all(runs.client)
        assert await runs.deployments.ensure(runs.client)
        assert runs.deployments.ids == prefect.ids
        assert await prefect_runs.know_prefect(house, await runs.campaign_flow())
    assert (await town.one(Campaign)).run_id == "a page"
    assert await town.all(Delivery, Delivery.run_id.is_(None)) == []
    prefect.flow = uuid4()
    assert not await prefect_runs.know_prefect(house, await runs.campaign_flow()), "another Prefect knows none of them"
    assert (await town.one(Campaign)).run_id is None


async def test_a_hop_whose_deployment_was_deleted_is_woken_in_the_new_one(
    town: Town, prefect: Prefect, runs: Runs
) -> None:
    await town.until("2023-12-01", "10:00")
    await put(town, Campaign, run_id=prefect.made(StateType.RUNNING, town.clock.wall()))
    hop = (await town.all(Hop, Hop.issuer == "UBND-HP"))[0]
    hop.run_id = prefect.made(StateType.SCHEDULED, town.clock.wall(), deployment=uuid4())
    await runs.wake([hop])
    assert [run.deployment_id for run in prefect.runs.values()][1:] == [prefect.ids["hop"]]


@pytest.mark.parametrize(("kind", "ago_s", "woken"), [("FAILED", 5, False), ("FAILED", 90, True), ("CRASHED", 5, True)])
async def test_what_fails_is_not_started_again_at_once(
    town: Town, prefect: Prefect, runs: Runs, kind: str, ago_s: float, *, woken: bool
) -> None:
    await town.until("2023-12-01", "10:00")
    hop = (await town.all(Hop, Hop.issuer == "UBND-HP"))[0]
    at = town.clock.wall() - timedelta(seconds=ago_s)
    run = prefect.runs[prefect.made(StateType(kind), at)]
    assert await runs._may_wake(hop, run) is woken
    runs._watch = str(run.id)
    await runs.watch()
    assert (len(prefect.runs) == 2) is woken


async def test_a_watch_that_waits_for_a_process_is_joined_by_no_other(
    town: Town, prefect: Prefect, runs: Runs
) -> None:
    runs._watch = prefect.made(StateType.SCHEDULED, town.clock.wall() - timedelta(minutes=10))
    await runs.watch()
    assert len(prefect.runs) == 1


@pytest.mark.parametrize(
    ("kind", "ago_s", "another"),
    [("PENDING", 50, False), ("PENDING", 70, True), ("RUNNING", 70, False), ("RUNNING", 130, True)],
)
async def test_a_watch_whose_worker_died_is_waited_for_as_long_as_one_takes_to_begin(
    town: Town, prefect: Prefect, runs: Runs, kind: str, ago_s: float, *, another: bool
) -> None:
    runs._watch = prefect.made(StateType(kind), town.clock.wall() - timedelta(seconds=ago_s))
    await runs.watch()
    assert (len(prefect.runs) == 2) is another


async def test_what_its_worker_took_along_is_ended_and_what_is_still_at_work_is_not(
    house: House, town: Town, prefect: Prefect, runs: Runs
) -> None:
    """A watch that was killed stood in the lists as running for ever; a hop's run took a place of its queue."""
    await town.until("2023-12-01", "10:00")
    ids, wall = runs.deployments.ids, town.clock.wall()
    hop = (await town.all(Hop, Hop.issuer == "UBND-HP"))[0]
    watches = [
        prefect.made(kind, wall - ago, deployment=ids["watch"])
        for kind in (StateType.PENDING, StateType.RUNNING)
        for ago in (timedelta(minutes=59), timedelta(minutes=61))
    ]
    # A launch that was killed before it launched anything said for ever that it was running; a page goes on.
    killed, page = (
        prefect.made(StateType.RUNNING, wall - timedelta(days=2), deployment=ids[name])
        for name in ("campaign", "campaign-in-full")
    )
    stopped = prefect.made(StateType.CANCELLING, wall - timedelta(days=2), deployment=ids["report"])
    await put(town, Campaign, run_id=page)
    own = prefect.made(StateType.RUNNING, wall - timedelta(hours=2), deployment=ids["hop"], hop_id=hop.id)
    other = prefect.made(StateType.RUNNING, wall - timedelta(hours=2), deployment=ids["hop"], hop_id=hop.id)
    await put(town, Hop, Hop.id == hop.id, run_id=own, lease_until=None)
    assert await end_left_behind(house, runs.client, ids) == 5
    ended = {key: run.state.name for key, run in prefect.runs.items() if run.state.type not in ("PENDING", "RUNNING")}
    left = dict.fromkeys((watches[1], watches[3], killed), "LeftBehind")
    assert ended == left | {other: "Replaced", stopped: "Cancelled"}


async def test_a_turn_that_was_killed_before_its_campaign_was_closed_keeps_no_place_of_its_queue(
    house: House, town: Town, prefect: Prefect, runs: Runs
) -> None:
    await town.until("2023-12-01", "10:00")
    ids, wall = runs.deployments.ids, town.clock.wall()
    hop = await town.hop("UBND-HP")
    run = prefect.made(StateType.RUNNING, wall - timedelta(hours=2), deployment=ids["hop"], hop_id=hop.id)
    await put(town, Hop, Hop.id == hop.id, run_id=run, lease_until=wall + house.lease)
    await put(town, Campaign, run_id=prefect.made(StateType.RUNNING, wall), **CLOSED)
    assert await end_left_behind(house, runs.client, ids) == 0, "it is at work"
    await put(town, Hop, Hop.id == hop.id, lease_until=None)
    assert await end_left_behind(house, runs.client, ids) == 1
    assert prefect.runs[run].state.name == "Closed"


async def test_the_page_of_a_campaign_that_has_just_been_closed_has_not_crashed(
    house: House, town: Town, prefect: Prefect, runs: Runs
) -> None:
    page = prefect.made(StateType.RUNNING, town.clock.wall() - timedelta(days=9), deployment=prefect.ids["campaign"])
    await put(town, Campaign, run_id=page, board_seq=2, board_seen=1, **CLOSED)
    assert await end_left_behind(house, runs.client, runs.deployments.ids) == 0
    await runs.campaigns()
    assert prefect.runs[page].state.name == "Closed"


async def test_a_run_that_cannot_be_ended_keeps_no_other_from_its_end(
    house: House, town: Town, prefect: Prefect, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody deletes it meanwhile; so many pages of campaigns stand before it that no other is among the first."""
    monkeypatch.setattr(left_behind, "_SOME", 2)
    ids, long_ago = runs.deployments.ids, town.clock.wall() - timedelta(days=2)
    page, gone, left = [prefect.made(StateType.RUNNING, long_ago, deployment=ids[name])
                        for name in ("campaign", "tell", "tell")]  # fmt: skip
    await put(town, Campaign, run_id=page)
    set_state = prefect.set_flow_run_state

    async def deleted(run_id: UUID, state: Any, *, force: bool) -> SimpleNamespace:
        if str(run_id) == gone:
            raise ObjectNotFound(KeyError(run_id))
        return await set_state(run_id, state, force=force)

    monkeypatch.setattr(prefect, "set_flow_run_state", deleted)
    assert await end_left_behind(house, runs.client, ids) == 1
    assert prefect.runs[left].state.name == "LeftBehind"


async def test_paused_hops_keep_no_open_one_from_its_turn(
    house: House, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    await town.until("2023-12-01", "10:00")
    now, wall = await house.clock.now(), house.clock.wall()
    await put(town, Hop, wake_at=now - timedelta(days=1))
    await put(town, Hop, Hop.opened_at.is_not(None), wake_at=now)
    monkeypatch.setattr(waking, "_AT_A_TIME", 2)
    async with house.store.view() as ledger:
        assert not any(hop.opened_at for hop in await waking.due_hops(ledger, now, free_at=wall))
        assert [hop.issuer for hop in await waking.due_hops(ledger, now, free_at=wall, opened=True)] == ["UBND-HP"]


# ------------------------------------------------------------------------------------ held and paused


async def test_nobody_is_chased_in_a_paused_campaign_by_a_hop_that_prefect_wakes_all_the_same(
    house: House, town: Town
) -> None:
    """Prefect's schedule asks nobody: the hop's run starts at the instant of the reminder and of the escalation."""
    await town.until("2023-12-01", "10:00")
    await pausing.pause(house, town.campaign, "Lan", "chờ ý kiến")
    hop = await town.hop("UBND-HP")
    before = (await town.one(Delivery, Delivery.recipient == "BQL"))
    town.clock.set(town.clock._now + timedelta(days=30))
    lease = await hops.turn(house, hop.id)
    assert lease is not None
    await hops.rest(house, lease)
    await hops.release(house, lease)
    after = await town.one(Delivery, Delivery.recipient == "BQL")
    assert (after.steps_taken, after.escalated_at) == (before.steps_taken, None)
    assert not await board_acts.hops_at_work(house), "nothing makes the board wait either"
    await campaigns.resume(house, town.campaign, "Lan")
    await town.work()
    assert (await town.one(Delivery, Delivery.recipient == "BQL")).due_at > before.due_at


@pytest.mark.parametrize("kind", [StateType.CANCELLED, StateType.CANCELLING, StateType.PAUSED])
@pytest.mark.parametrize("which", [0, 1, 2], ids=["campaign", "page", "hop"])
async def test_what_is_cancelled_or_suspended_in_prefect_is_held_until_a_person_decides(
    town: Town, prefect: Prefect, runs: Runs, which: int, kind: StateType
) -> None:
    """Suspended, which Prefect offers for what looks as if it were at work, it was set going again in silence."""
    shown = (await _on_show(town, prefect))[which]
    prefect.stop(shown, kind, town.clock.wall())
    await runs.compare()
    campaign = await town.one(Campaign)
    assert (campaign.held_by, await town.all(Note, Note.name == f"held:{prefect.runs[shown].state.id}") != []) == (
        notices.PREFECT, True,
    )  # fmt: skip
    await campaigns.resume(town.house, town.campaign, "Lan")
    await runs.compare()
    await runs.wake([await town.hop("UBND-HP")])
    assert (await town.one(Campaign)).held_at is None, "once"
    assert prefect.runs[shown].state.type in (StateType.RUNNING, StateType.SCHEDULED)


async def test_recipients_that_were_stopped_with_their_page_are_shown_again_as_they_are(
    town: Town, prefect: Prefect, runs: Runs
) -> None:
    _, below, _ = await _on_show(town, prefect)
    await put(town, Delivery, run_id="a run", board_seen=Delivery.board_seq, board_state="AwaitingConfirmation")
    prefect.stop(below, StateType.CANCELLING, town.clock.wall())
    await runs.compare()
    assert await board_acts.unpublished(town.house) == []
    await campaigns.resume(town.house, town.campaign, "Lan")
    await runs.compare()
    assert [(tile.code, tile.as_it_stands) for tile in await board_acts.unpublished(town.house)] == [("BQL", False)]


async def test_a_run_cancelled_while_the_campaign_is_held_does_not_hold_it_again(
    town: Town, prefect: Prefect, runs: Runs
) -> None:
    await town.until("2023-12-01", "10:00")
    run = prefect.made(StateType.CANCELLED, town.clock.wall())
    await put(town, Campaign, run_id=run)
    await campaigns.hold(town.house, town.campaign, "Lan", "xem lại")
    await runs.compare()
    await campaigns.resume(town.house, town.campaign, "Lan")
    await runs.compare()
    assert (await town.one(Campaign)).held_at is None


# ------------------------------------------------------------------------------------ what must not be lost


async def test_a_signal_that_prefect_could_not_take_is_told_again_and_then_no_more(
    house: House, town: Town, prefect: Prefect
) -> None:
    await town.until("2023-12-01", "10:00")
    town.clock.set((await town.hop("UBND-HP")).due_at)
    client = cast("PrefectClient", prefect)
    async with at_work(house):
        prefect.away = True
        with pytest.raises(httpx.ConnectError):
            await events.signal.fn(client)
        prefect.away = False
        assert await events.signal.fn(client) == 1
        assert await events.signal.fn(client) == 0
    assert [one["event"] for body in prefect.posted for one in body] == ["congvan.campaign.at-risk"]
    assert len(await town.all(Note, Note.name.startswith("at-risk:"))) == 1
    assert await notices.look(house) == []


async def test_a_step_of_the_watch_that_fails_keeps_no_other_from_being_done(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def step(name: str) -> Any:
        async def taken(*_: object) -> None:
            done.append(name)
            if name == "tell":
                raise ZeroDivisionError

        return taken

    for name in ("tell", "seal"):
        monkeypatch.setattr(f"flows.watch.records.{name}", step(name))
    for name in ("send", "take_in"):
        monkeypatch.setattr(f"flows.watch.mail.{name}", step(name))
    monkeypatch.setattr("flows.watch._relay_once", step("relay"))
    monkeypatch.setattr("flows.watch.events.signal", step("signal"))
    monkeypatch.setattr("flows.watch.auditor.audit", step("audit"))
    monkeypatch.setattr("flows.watch.at_work", lambda: at_work(house))
    # Without a server's address Prefect would start one for it.
    monkeypatch.setattr("flows.watch.get_client", nullcontext)
    with pytest.raises(Tripped, match="ZeroDivisionError"):
        await watch.fn()
    assert done == ["tell", "send", "seal", "relay", "signal", "audit", "take_in"]


async def test_after_a_restore_no_process_is_started_that_could_only_find_that_nothing_may_leave(
    house: House, town: Town, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def restored(_house: House) -> bool:
        return True

    async def nothing(*_: object) -> bool:
        return False

    monkeypatch.setattr("flows.relay.reconciling.is_restored", restored)
    for name in ("end_left_behind", "drop_late_watches"):
        monkeypatch.setattr(f"flows.relay.{name}", nothing)
    for name in ("ensure", "look_for_all"):
        monkeypatch.setattr(runs.deployments, name, nothing)
    monkeypatch.setattr(runs, "compare", nothing)
    monkeypatch.setattr(runs, "campaigns", nothing)
    woken: list[object] = []
    monkeypatch.setattr(runs, "wake", lambda due: woken.append(due))
    async with house.store.view() as ledger:
        assert await ledger.first(select(Hop.id).where(Hop.wake_at <= await house.clock.now()))
    await Relay(house, runs.deployments).wakes(runs)
    assert woken == []
