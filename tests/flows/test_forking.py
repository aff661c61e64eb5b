"""A run that is forked is the run that Prefect would have started: its own process, surroundings and end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from prefect import Flow
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import StateType
from prefect.runner import _starter_engine
from prefect.runner._process_manager import ProcessHandle
from prefect.runner._starter_engine import EngineCommandStarter
from prefect.utilities import processutils

from flows import forking
from tests.conftest import ROOT
from tests.flows import forked
from tests.flows.engine import Engine, until

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A server for all of these tests: none minds the runs of another."""
    async with Engine(tmp_path_factory.mktemp("engine")) as engine:
        await engine.start_server()
        yield engine.api


@pytest.fixture
async def client(api: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PrefectClient]:
    """What is started goes through a fork server."""
    monkeypatch.setattr(_starter_engine, "run_process", processutils.run_process)
    forking.install()
    async with PrefectClient(api) as made:
        yield made


class _Started:
    """What a runner holds of a run: told as soon as there is a process."""

    def __init__(self) -> None:
        self.handle: asyncio.Future[ProcessHandle] = asyncio.get_running_loop().create_future()

    def started(self, value: ProcessHandle | None = None) -> None:
        assert value is not None
        self.handle.set_result(value)


class _Run:
    """One run of a flow, as Prefect's runner starts it."""

    def __init__(self, client: PrefectClient, one: Flow[..., Any], folder: Path, **given: str) -> None:
        self.client, self.flow, self.folder, self.given = client, one, folder, given
        self.told = folder / "told"

    async def __aenter__(self) -> _Run:
        self.folder.mkdir(parents=True)
        parameters = {} if self.flow is forked.faulty else {"file": str(self.told)}
        self.run = await self.client.create_flow_run(self.flow, parameters=parameters)
        starter = EngineCommandStarter(
            entrypoint=f"{ROOT}/tests/flows/forked.py:{self.flow.fn.__name__}", cwd=self.folder,
            env={"PREFECT_API_URL": str(self.client.api_url), "PYTHONPATH": str(ROOT), **self.given},
            env_overrides_settings=True,
        )  # fmt: skip
        started = _Started()
        self.ending = asyncio.create_task(starter.start(self.run, started))
        self.handle = await started.handle
        return self

    async def __aexit__(self, *_: object) -> None:
        self.ending.cancel()
        with suppress(asyncio.CancelledError):
            await self.ending

    @property
    def pid(self) -> int:
        assert self.handle.pid is not None
        return self.handle.pid

    async def runs(self) -> None:
        """Until the flow itself has said that it runs."""
        await until(lambda: asyncio.to_thread(self.told.exists), 60, "the flow to run")

    async def end(self) -> tuple[int | None, StateType | None]:
        """How its process ended, and the state in which it is seen."""
        await asyncio.wait_for(asyncio.shield(self.ending), 60)
        return self.handle.returncode, (await self.client.read_flow_run(self.run.id)).state_type


async def test_runs_are_forks_of_one_process_and_each_has_what_it_was_given(
    client: PrefectClient, tmp_path: Path
) -> None:
    told = []
    first = _Run(client, forked.surroundings, tmp_path / "1", GIVEN="one", PREFECT_RUNNER_POLL_FREQUENCY="11")
    second = _Run(client, forked.surroundings, tmp_path / "2", GIVEN="two", PREFECT_RUNNER_POLL_FREQUENCY="12")
    async with first, second:
        for run in (first, second):
            assert await run.end() == (0, StateType.COMPLETED)
            told.append(json.loads(run.told.read_text("utf-8")))
            assert told[-1]["pid"] == run.pid
    assert len({os.getpid(), told[0]["pid"], told[1]["pid"], told[0]["parent"]}) == 4
    assert told[0]["parent"] == told[1]["parent"], "one process has imported for both"
    given = [(one["given"], one["setting"], one["folder"]) for one in told]
    assert given == [("one", 11, str(tmp_path / "1")), ("two", 12, str(tmp_path / "2"))]
    assert told[0]["chance"] != told[1]["chance"]
    assert told[0]["nice"] == min(os.nice(0) + forking.NICE, 19), "whoever answers people comes first"
    assert told[0]["id"] != told[1]["id"]
    assert "GIVEN" not in os.environ


#: What every run does first, in a process that has imported what a fork server imports; prints what it loads by that.
_FIRST_STEPS = """
import asyncio, ssl, sys
import prefect.flow_engine, flows.preloaded
from prefect.client.orchestration import PrefectClient, SyncPrefectClient
from tasks import at_work
held = set(sys.modules)
ssl.create_default_context = None
async def first_steps():
    async with at_work() as house:
        house.calendars.state.is_working(house.clock.wall().date())
    PrefectClient("http://127.0.0.1:1/api")
    SyncPrefectClient("http://127.0.0.1:1/api")
asyncio.run(first_steps())
print(*sorted(set(sys.modules) - held))
"""


@pytest.mark.parametrize("url", ["", "postgresql+asyncpg://nobody@/none?host=/nowhere"])
def test_a_run_finds_everything_loaded_and_reads_no_authoritys_certificates(tmp_path: Path, url: str) -> None:
    surroundings = os.environ | {"CONGVAN_HOME": str(tmp_path), "CONGVAN_DATABASE_URL": url, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", _FIRST_STEPS], env=surroundings, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr


@pytest.mark.gates
async def test_it_ends_as_the_process_that_prefect_starts_by_itself(
    client: PrefectClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forked_ends = await _ends(client, tmp_path / "forked")
    monkeypatch.setattr(_starter_engine, "run_process", processutils.run_process)
    assert forked_ends == await _ends(client, tmp_path / "plain")
    assert StateType.COMPLETED not in [state for _, state in forked_ends]


async def _ends(client: PrefectClient, folder: Path) -> list[tuple[int | None, StateType | None]]:
    """Of a run that is killed, of one that is asked to end, of one with a fault."""
    killed, asked = (_Run(client, forked.endless, folder / name) for name in ("killed", "asked"))
    async with killed, asked, _Run(client, forked.faulty, folder / "faulty") as faulty:
        for run, number in ((killed, signal.SIGKILL), (asked, signal.SIGTERM)):
            await run.runs()
            os.kill(run.pid, number)
        return [await run.end() for run in (killed, asked, faulty)]


async def test_a_run_that_its_runner_lets_go_of_is_ended(client: PrefectClient, tmp_path: Path) -> None:
    async with _Run(client, forked.endless, tmp_path / "1") as run:
        await run.runs()
        assert not _gone(run.pid)
    await until(lambda: asyncio.to_thread(_gone, run.pid), 30, "its process to be gone")


async def test_a_fork_server_that_is_killed_is_started_again_and_takes_no_run_with_it(
    client: PrefectClient, tmp_path: Path
) -> None:
    async with _Run(client, forked.endless, tmp_path / "1") as before:
        await before.runs()
        server = _parent(before.pid)
        os.kill(server, signal.SIGKILL)
        # Nobody hears of its end any more, so its runner takes it for crashed.
        await asyncio.wait_for(asyncio.shield(before.ending), 30)
        assert before.handle.returncode == 255
        assert not _gone(before.pid)
        async with _Run(client, forked.surroundings, tmp_path / "2") as after:
            assert await after.end() == (0, StateType.COMPLETED)
            assert json.loads(after.told.read_text("utf-8"))["parent"] != server
        os.kill(before.pid, signal.SIGKILL)


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


async def test_what_is_not_prefects_engine_is_started_as_before() -> None:
    started = _Started()
    command = [sys.executable, "-c", "import os; raise SystemExit(7 if os.environ['GIVEN'] == 'one' else 1)"]
    await forking.run_process(
        command, task_status=started, task_status_handler=ProcessHandle, env={**os.environ, "GIVEN": "one"}
    )
    assert (await started.handle).returncode == 7
