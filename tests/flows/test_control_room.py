"""The control room: a campaign is launched by a form in Prefect, followed by events, and told of by automations."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from sqlalchemy import select

from congvan.acts import board, notices, registry
from congvan.board_check import compare
from congvan.house import House
from congvan.rules.protocol import Event, Fact
from congvan.store.ledger import Entry
from congvan.store.schema import migrate
from congvan.store.tables import Campaign, Delivery
from tasks import events
from tests.flows import world
from tests.flows.engine import Engine, until
from tests.postgres import fresh_database

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect"), pytest.mark.timeout(280)]
CONFIG = Path(__file__).parents[2] / "config"


def _config(folder: Path) -> Path:
    """The shipped configuration with the chain and the plan of `world`."""
    shutil.copytree(CONFIG, folder, ignore=shutil.ignore_patterns("registry", "campaigns"))
    (folder / "campaigns").mkdir()
    for name, record in (("cascade", world.cascade()), ("campaigns/dien-tap", world.plan())):
        text = yaml.safe_dump(record.model_dump(mode="json"), allow_unicode=True)
        (folder / f"{name}.yaml").write_text(text, "utf-8")
    return folder


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    """An engine with a registry and a prepared plan, and nothing launched."""
    async with prepared(tmp_path) as made:
        yield made


@asynccontextmanager
async def prepared(folder: Path, **settings: str) -> AsyncIterator[Engine]:
    """The same with settings of one's own."""
    async with Engine(folder, CONGVAN_CONFIG=str(_config(folder / "config")), **settings) as made:
        await made.start_server()
        house = made.house()
        await migrate(house.store)
        await registry.take_over(house, world.register(3, 5))
        await house.close()
        await made.start_flows()
        yield made


async def _deployment(client: httpx.AsyncClient, flow: str) -> dict[str, Any]:
    found = await client.get(f"/deployments/name/{flow}/congvan")
    return dict(found.json()) if found.status_code == 200 else {}


async def _form(client: httpx.AsyncClient, flow: str) -> dict[str, Any]:
    found = await _deployment(client, flow)
    worded = found.get("parameter_openapi_schema", {}).get("properties", {}).get("by", {}).get("title")
    return found if worded == "Người khởi động" else {}


async def _filled(client: httpx.AsyncClient, form: str, values: object) -> httpx.Response:
    """The form is sent, again where the server's database is busy (503), as Prefect's own client does."""
    for _ in range(20):
        answer = await client.post(f"/deployments/{form}/create_flow_run", json={"parameters": values})
        if answer.status_code != 503:
            return answer
        await asyncio.sleep(0.5)
    return answer


async def test_a_form_launches_a_prepared_plan_and_says_what_is_wrong_with_any_other(engine: Engine) -> None:
    async with engine.client() as client:
        form = await until(lambda: _form(client, "campaign"), 90, "the form")
        schema = form["parameter_openapi_schema"]
        assert schema["properties"]["plan"]["enum"] == ["dien-tap"]
        assert set(schema["required"]) == {"plan", "by"}
        assert schema["definitions"]["Audience"]["properties"]["parks"]["title"] == "Khu công nghiệp"

        async def fill(**values: object) -> httpx.Response:
            return await _filled(client, form["id"], values)

        for wrong in ({"plan": "khac", "by": "An"}, {"plan": "dien-tap"}, {"plan": "dien-tap", "by": ""},
                      {"plan": "dien-tap", "by": "An", "mode": "fast"}):  # fmt: skip
            assert (await fill(**wrong)).status_code == 409, wrong
        assert await engine.rows(select(Campaign.id)) == []
        made = await fill(plan="dien-tap", by="An", mode="exercise", audience={"exclude": ["UNIT-003"]})
        assert made.status_code == 201
        await until(lambda: _slips(engine), 90, "the slip to the board")
        (campaign,) = await engine.rows(select(Campaign.launched_by, Campaign.run_id, Campaign.plan))
        assert (campaign.launched_by, campaign.run_id) == ("An", made.json()["id"])
        assert campaign.plan["audience"]["exclude"] == ["UNIT-003"]
        await engine.answer("BOARD")
        await until(lambda: _letters(engine, 3), 60, "the letters without the third unit's")

        refused = await fill(plan="dien-tap", by="An", mode="exercise", audience={"include": ["NOBODY"]})
        run = refused.json()["id"]
        state = await until(lambda: _over(client, run), 60, "the launch to be refused")
        assert state["type"] == "FAILED"
        assert "NOBODY" in state["message"]


async def _over(client: httpx.AsyncClient, run: str) -> dict[str, Any]:
    state = (await client.get(f"/flow_runs/{run}")).json()["state"]
    return dict(state) if state["type"] in ("FAILED", "COMPLETED", "CRASHED") else {}


async def _slips(engine: Engine) -> bool:
    return bool(engine.inbox.of("slip"))


async def _letters(engine: Engine, number: int) -> bool:
    return len(set(engine.inbox.of("letter"))) >= number


@pytest.mark.gates
async def test_the_long_form_takes_a_whole_plan_and_names_the_field_that_is_wrong(engine: Engine) -> None:
    async with engine.client() as client:
        form = await until(lambda: _form(client, "campaign-in-full"), 90, "the form")
        words = form["parameter_openapi_schema"]["definitions"]
        assert words["CampaignPlan"]["properties"]["code"]["title"] == "Mã đợt"
        assert words["LetterText"]["properties"]["subject"]["title"] == "Trích yếu"
        plan = world.plan().model_dump(mode="json")

        async def fill(**changes: object) -> httpx.Response:
            return await _filled(client, form["id"], {"plan": plan | changes, "by": "An", "mode": "exercise"})

        wrong = await fill(code="không được")
        assert wrong.status_code == 409, wrong.text
        assert "field 'plan.code'" in wrong.json()["detail"]
        # What the form's own rules let pass is told by the run, in our words and not in the validator's.
        refused = (await fill(secrecy="Tối mật")).json()
        state = await until(lambda: _over(client, refused["id"]), 60, "the launch to be refused")
        assert state["type"] == "FAILED"
        assert "văn bản mật không được gửi qua hệ thống này" in state["message"]
        assert "validation error" not in (engine.home / "flows.log").read_text("utf-8")
        assert (await fill(code="tu-bieu-mau")).status_code == 201
        await until(lambda: _slips(engine), 90, "the slip to the board")
        assert [row.code for row in await engine.rows(select(Campaign.code))] == ["tu-bieu-mau"]


async def test_what_happens_is_told_as_events_and_a_hop_that_breaks_off_by_mail(engine: Engine) -> None:
    await engine.launch()
    await until(lambda: _slips(engine), 90, "the slip to the board")
    await engine.answer("BOARD")
    await until(lambda: _letters(engine, 4), 60, "the board's letters")
    await engine.answer("UNIT-001", Event.ACKNOWLEDGED)
    async with engine.client() as client:
        both = {"BOARD", "UNIT-001"}
        told = await until(lambda: _told(client, "confirmed", both), 60, "both confirmations as events")
        await until(lambda: _told(client, "sent", {"INV", "UNIT-002", "UNIT-003"}), 60, "the letters as events")
        await _an_act_that_shows_nothing_is_neither_set_nor_told_again(engine, client, "UNIT-002")
        assert "vanthu@" not in str(told)
        runs = [run for run in await engine.runs("hop") if "BOARD" in run["name"]]
        crashed = {"state": {"type": "CRASHED", "message": "played by the test"}, "force": True}
        await client.post(f"/flow_runs/{runs[0]['id']}/set_state", json=crashed)
        await until(lambda: _noticed(engine), 90, "the automation's mail to the unit in charge")
        await asyncio.sleep(3)
        await client.post(f"/flow_runs/{runs[0]['id']}/set_state", json=crashed)
        assert len(engine.inbox.of("notice")) == 1, "once a day"
        await _signals_reach_the_unit_in_charge(engine, client)
        await _silence_is_told_as_events(engine, client, "UNIT-003")


async def _signals_reach_the_unit_in_charge(engine: Engine, client: httpx.AsyncClient) -> None:
    """By the automations for a campaign at risk and for cases that nobody takes, each by a mail of its own."""
    (code,) = (await engine.rows(select(Campaign.code)))[0]
    wall = datetime.now(UTC)
    signals = [notices.Signal(f"test-{what}", what, code, {}) for what in ("at_risk", "unclaimed")]  # type: ignore[arg-type]
    told = [events._of_signal(one, wall) for one in signals]
    (await client.post("/events", json=told)).raise_for_status()

    async def both() -> bool:
        return len(engine.inbox.of("notice")) == 3

    await until(both, 120, "the mails of the two automations")


async def _silence_is_told_as_events(engine: Engine, client: httpx.AsyncClient, unit: str) -> None:
    house = engine.house()
    now = await house.clock.now()
    for name, change in (("overdue", {"due_at": now - timedelta(hours=1)}), ("escalated", {"escalated_at": now})):
        async with house.store.act() as ledger:
            row = await ledger.first(select(Delivery).where(Delivery.recipient == unit))
            await ledger.write(row, now, Entry(Fact.NOTED, {"note": "played by the test"}), **change)
        await until(lambda name=name: _told(client, name, {unit}), 60, f"{unit} as {name}")
    await house.close()


async def _an_act_that_shows_nothing_is_neither_set_nor_told_again(
    engine: Engine, client: httpx.AsyncClient, unit: str
) -> None:
    key = next(run["id"] for run in await engine.runs("delivery") if unit in run["name"])
    before = await _states(client, key)
    assert "AwaitingConfirmation" in before
    house = engine.house()
    async with house.store.act() as ledger:
        row = await ledger.first(select(Delivery).where(Delivery.recipient == unit))
        await ledger.write(row, await house.clock.now(), Entry(Fact.NOTED, {"note": "nothing to see"}))
    await house.close()
    behind = select(Delivery.id).where(Delivery.recipient == unit, Delivery.board_seen < Delivery.board_seq)
    await until(lambda: _none(engine, behind), 60, "the board to have seen it")
    assert await _states(client, key) == before
    # An event that is told later than another of the same recipient would be seen with it.
    await engine.answer(unit)
    told = await until(lambda: _told(client, "confirmed", {unit}), 60, "its confirmation as an event")
    sent = await _told(client, "sent", {unit})
    assert [one["resource"]["prefect.resource.name"] for one in sent + told].count(unit) == 2, "one of each"


async def _states(client: httpx.AsyncClient, run: str) -> list[str]:
    found = (await client.get("/flow_run_states/", params={"flow_run_id": run})).json()
    return [one["name"] for one in found]


async def _none(engine: Engine, query: Any) -> bool:
    return not await engine.rows(query)


async def _told(client: httpx.AsyncClient, name: str, about: set[str]) -> list[dict[str, Any]]:
    """The events of a name, once each of these recipients has one; a recipient has one for each change of the board."""
    body = {"filter": {"event": {"name": [f"congvan.delivery.{name}"]}}, "limit": 50}
    events: list[dict[str, Any]] = (await client.post("/events/filter", json=body)).json()["events"]
    return events if about <= {one["resource"]["prefect.resource.name"] for one in events} else []


async def _noticed(engine: Engine) -> bool:
    return bool(engine.inbox.of("notice"))


@pytest.mark.gates
async def test_the_board_is_compared_with_the_database_and_built_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.launch()
    await until(lambda: _slips(engine), 90, "the slip to the board")
    await engine.answer("BOARD")
    await until(lambda: _letters(engine, 4), 60, "the board's letters")
    house = engine.house()
    try:
        await until(lambda: _true(house, engine), 150, "a board that shows what is")
        found = await compare(house, engine.api)
        # One board, four below it, the exempt unit.
        assert (found.compared, found.differences) == (6, ())
        runs = {run["name"].split()[0]: run["id"] for run in await engine.runs("delivery")}
        async with engine.client() as client:
            lie = {"state": {"type": "COMPLETED", "name": "Confirmed"}, "force": True}
            told = await client.post(f"/flow_runs/{runs['UNIT-001']}/set_state", json=lie)
            told.raise_for_status()
            await until(lambda: _deleted(client, runs["UNIT-002"]), 30, "a run that is gone")
        found = await compare(house, engine.api)
        assert [(one.recipient, one.shown) for one in found.differences] == [
            ("UNIT-001", "COMPLETED Confirmed"), ("UNIT-002", None),
        ]  # fmt: skip
        # Every recipient of the campaign, also the five below the investor that are not open yet.
        assert await board.repaint(house) == 11
        await until(lambda: _true(house, engine), 150, "the board as the database has it")
    finally:
        await house.close()


@pytest.mark.gates
async def test_no_hop_waits_for_a_board_that_has_a_server_of_its_own(tmp_path: Path, postgres_url: str) -> None:
    prefects = await fresh_database(postgres_url)
    async with Engine(tmp_path, PREFECT_SERVER_DATABASE_CONNECTION_URL=prefects) as engine:
        await engine.start_server()
        await engine.start_board_server()
        await engine.launch()
        await engine.start_flows()
        await until(lambda: _slips(engine), 120, "the slip to the board")
        await until(lambda: _shown(engine, 1), 60, "the board's run")
        await engine.kill("board-server")
        await engine.answer("BOARD")
        await until(lambda: _letters(engine, 4), 60, "the board's letters")
        assert not await _shown(engine, 2), "nobody takes pictures"
        await engine.start_board_server()
        house = engine.house()
        try:
            await until(lambda: _true(house, engine), 150, "a board that shows what is")
        finally:
            await house.close()


async def _shown(engine: Engine, number: int) -> bool:
    return len(await engine.runs("delivery")) >= number


async def _deleted(client: httpx.AsyncClient, run_id: str) -> bool:
    """Asked to, Prefect may be busy; asked again, it knows of no such run."""
    return (await client.delete(f"/flow_runs/{run_id}")).status_code == httpx.codes.NOT_FOUND


async def _true(house: House, engine: Engine) -> bool:
    found = await compare(house, engine.api)
    return found.compared > 5 and not found.behind and not found.differences


@pytest.mark.gates
async def test_workers_of_a_pool_run_the_flows_and_one_that_is_killed_is_replaced(tmp_path: Path) -> None:
    """One machine's share of a larger installation: the relay alone, and workers that come and go."""
    async with Engine(tmp_path, CONGVAN_WORK_POOL="congvan") as engine:
        await engine.start_server()
        await engine.launch()
        await engine.start_flows()
        async with engine.client() as client:
            pool = await until(lambda: _pool(client), 90, "the work pool with its queues")
            assert pool == {"sending": 4, "waking": 4, "launching": None, "reports": None, "default": None}
            hop = await until(lambda: _deployment(client, "hop"), 90, "the deployment of the hop")
            assert hop["job_variables"]["command"].endswith(" -m prefect.engine"), "else each process starts twice"
        worker = ("-m", "flows.worker")
        await engine.start("worker-1", *worker)
        await engine.start("worker-2", *worker)
        await until(lambda: _slips(engine), 120, "the slip to the board")
        await engine.kill("worker-1")
        await engine.answer("BOARD")
        await until(lambda: _letters(engine, 4), 120, "the board's letters by the worker that is left")
        await engine.kill("worker-2")
        await engine.start("worker-3", *worker)
        await engine.answer("INV", Event.FORWARDED)
        await until(lambda: _letters(engine, 9), 120, "the investor's letters by a new worker")
        assert all(count == 1 for count in engine.inbox.ids().values())
        await _a_run_that_died_with_its_worker_is_ended(engine)


async def _a_run_that_died_with_its_worker_is_ended(engine: Engine) -> None:
    """Its hop has settled, so nothing wakes it; as long as it is RUNNING it takes a place of the queue."""
    run = next(run["id"] for run in await engine.runs("hop") if "CITY" in run["name"])
    async with engine.client() as client:
        await client.post(f"/flow_runs/{run}/set_state", json={"state": {"type": "RUNNING"}, "force": True})
        await until(lambda: _settled(client, run), 150, "the run to be ended")


async def _settled(client: httpx.AsyncClient, run: str) -> bool:
    return bool((await client.get(f"/flow_runs/{run}")).json()["state_name"] == "Settled")


async def _pool(client: httpx.AsyncClient) -> dict[str, int | None]:
    queues = (await client.post("/work_pools/congvan/queues/filter", json={})).json()
    found = {queue["name"]: queue["concurrency_limit"] for queue in queues} if isinstance(queues, list) else {}
    return found if len(found) > 4 else {}
