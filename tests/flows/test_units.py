"""The systemd units of deploy/: their files are sound, and what they start ends on SIGTERM with nothing left behind."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
import yaml
from jsonschema import ValidationError, validate
from prefect.exceptions import Abort
from prefect.settings.models.server.services import ServerServicesDBVacuumSettings
from prefect.utilities.callables import parameter_schema

import flows.__main__
from congvan.errors import ActRefused, CongvanError
from congvan.house import House
from congvan.mail.address import AddressUnusable
from congvan.rules.records import CampaignPlan
from congvan.settings import Settings
from congvan.store.schema import migrate
from congvan.up import SERVER_SETTINGS
from flows import forms
from flows.campaign import campaign, campaign_in_full
from tasks import at_work, records
from tests.flows.engine import Engine, free_port, until

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "deploy" / "systemd"
_INSTALLED = "/opt/congvan/.venv/bin/"
#: How systemd counts the end of a service as clean: status 0, or by the signal that it sent.
CLEAN = (0, -signal.SIGTERM, 128 + signal.SIGTERM)


def _line(unit: str, name: str) -> str:
    (found,) = re.findall(rf"^{name}=(.+)$", (UNITS / f"{unit}.service").read_text("utf-8"), re.M)
    return str(found)


def test_the_units_are_sound_as_systemd_reads_them(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze")
    here = f"{Path(sys.executable).parent}/"
    for unit in UNITS.glob("*.service"):
        (tmp_path / unit.name).write_text(unit.read_text("utf-8").replace(_INSTALLED, here), "utf-8")
    command = ["systemd-analyze", "verify", "--man=no", *map(str, sorted(tmp_path.iterdir()))]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stderr) == (0, "")


def test_nobody_else_on_the_machine_reads_what_the_units_write() -> None:
    """The database, its journal and the reports hold mailboxes and names; by default systemd makes them for all."""
    for unit in UNITS.glob("*.service"):
        assert (_line(unit.stem, "StateDirectoryMode"), _line(unit.stem, "UMask")) == ("0750", "0027"), unit.name
    assert "-p StateDirectoryMode=0750 -p UMask=0027" in (ROOT / "docs" / "operations.md").read_text("utf-8")


def test_containers_are_given_as_long_to_end_as_services() -> None:
    """By default Docker kills after ten seconds, with letters on the wire."""
    (patience,) = {_line(unit.stem, "TimeoutStopSec") for unit in UNITS.glob("*.service")}
    services = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text("utf-8"))["services"]
    for name in ("server", "board", "relay", "worker", "portal"):
        assert services[name]["stop_grace_period"] == f"{patience}s", name
        # Nobody else takes away what a killed process leaves, and signals reach what is not yet ready for them.
        assert services[name]["init"] is True, name


def test_a_server_that_we_start_forgets_old_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the pinned Prefect reads it: by default it keeps every run for ever."""
    monkeypatch.delenv("PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED", raising=False)
    assert "flow_runs" not in ServerServicesDBVacuumSettings().enabled_vacuum_types
    for name, value in SERVER_SETTINGS.items():
        monkeypatch.setenv(name, value)
    assert {"flow_runs", "events"} <= ServerServicesDBVacuumSettings().enabled_vacuum_types


@asynccontextmanager
async def _service(engine: Engine, unit: str, port: int = 0) -> AsyncIterator[None]:
    """What ExecStart names, at a port of the test's own; at the end SIGTERM to it alone (KillMode=mixed)."""
    assert _line(unit, "KillMode") == "mixed"
    command = re.sub(r" --port \d+", "", _line(unit, "ExecStart")) + (f" --port {port}" if port else "")
    program, *arguments = shlex.split(command.replace(_INSTALLED, f"{Path(sys.executable).parent}/"))
    with (engine.home / f"{unit}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program, *arguments, env=engine.environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield
        assert process.returncode is None, f"{unit} ended by itself"
        process.send_signal(signal.SIGTERM)
        ended = await asyncio.wait_for(process.wait(), int(_line(unit, "TimeoutStopSec")))
        assert ended in CLEAN, f"{unit} ended with {ended}: {(engine.home / f'{unit}.log').read_text()[-2000:]}"
        await until(lambda: asyncio.to_thread(_nothing_left, process.pid), 10, f"everything of {unit} to be gone")
    finally:
        if not _nothing_left(process.pid):
            os.killpg(process.pid, signal.SIGKILL)


def _nothing_left(group: int) -> bool:
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = path.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(its_group) == group and state != "Z":
            return False
    return True


async def _answers(url: str) -> bool:
    async with httpx.AsyncClient(timeout=5) as client:
        try:
            return (await client.get(url)).status_code == 200
        except httpx.HTTPError:
            return False


@pytest.mark.prefect
@pytest.mark.gates
@pytest.mark.xdist_group("prefect")
async def test_each_unit_starts_and_ends_on_sigterm_with_nothing_left_behind(tmp_path: Path) -> None:
    async with Engine(tmp_path) as engine:
        house, portal = engine.house(), free_port()
        await migrate(house.store)
        await house.close()
        async with _service(engine, "congvan-server", engine.prefect_port):
            await until(lambda: _answers(f"{engine.api}/health"), 120, "Prefect's server")
            async with _service(engine, "congvan-portal", portal):
                await until(lambda: _answers(f"http://127.0.0.1:{portal}/healthz"), 60, "the portal")
                board = free_port()
                async with _service(engine, "congvan-board", board), _service(engine, "congvan-flows"):
                    await until(lambda: _answers(f"http://127.0.0.1:{board}/api/health"), 120, "the board's server")
                    at = f"{engine.api}/deployments/name/hop/congvan"
                    await until(lambda: _answers(at), 120, "the deployments")


def _living(home: Path) -> list[int]:
    """Processes that were started for this home."""
    wanted, found = f"CONGVAN_HOME={home}".encode(), []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (path / "environ").read_bytes().split(b"\0") and b") Z " not in (path / "stat").read_bytes():
                found.append(int(path.name))
        except OSError:
            continue
    return found


@asynccontextmanager
async def _starting(home: Path) -> AsyncIterator[dict[str, str]]:
    """`congvan up` with what its banner says; at the end SIGTERM to it alone, and nothing of it is left."""
    command = [f"{Path(sys.executable).parent}/congvan", "up"]
    given = os.environ | {"CONGVAN_HOME": str(home), "CONGVAN_SECRET_KEYS": "k" * 40, "NO_COLOR": "1"}
    for name in ("PREFECT_API_URL", "PREFECT_HOME", "CONGVAN_WORK_POOL"):
        given.pop(name, None)
    process = await asyncio.create_subprocess_exec(
        *command, env=given, stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    try:
        assert process.stdout is not None, "it was asked for"
        said: dict[str, str] = {}
        while "Cán bộ" not in said:
            line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
            assert line, f"it ended with {await process.wait()}"
            name, _, address = line.strip().rpartition("  ")
            said[name.strip()] = address
        yield said
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 60) == 0
        await until(lambda: asyncio.to_thread(lambda: not _living(home)), 10, "everything of it to be gone")
    finally:
        for one in _living(home):
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)


@asynccontextmanager
async def _up(home: Path) -> AsyncIterator[str]:
    """`congvan up` until it is at work, Prefect's API."""
    async with _starting(home) as said:
        api, portal = f"{said['Prefect']}/api", said["Trang"]
        await until(lambda: _answers(f"{portal}/healthz"), 120, "the portal")
        await until(lambda: _answers(f"{portal}/healthz/relay"), 120, "the relay")
        await until(lambda: _answers(f"{api}/deployments/name/hop/congvan"), 120, "the deployments")
        yield api


@pytest.mark.prefect
@pytest.mark.xdist_group("prefect")
async def test_up_that_is_told_to_stop_before_its_server_answers_ends_as_at_any_other_time(tmp_path: Path) -> None:
    async with _starting(tmp_path) as said:
        await until(lambda: asyncio.to_thread(lambda: len(_living(tmp_path)) > 1), 30, "its server's process")
        assert not await _answers(f"{said['Prefect']}/api/health")


@pytest.mark.prefect
@pytest.mark.gates
@pytest.mark.xdist_group("prefect")
async def test_up_applies_the_automations_and_ends_on_sigterm_with_nothing_left_behind(tmp_path: Path) -> None:
    """One that an operator has paused is still paused after the next start."""
    shipped = {yaml.safe_load(path.read_text("utf-8"))["name"] for path in (ROOT / "config/automations").glob("*.yaml")}

    async def automations(client: httpx.AsyncClient) -> dict[str, dict[str, object]]:
        found = (await client.post("/automations/filter", json={})).json()
        return {one["name"]: one for one in found} if len(found) >= len(shipped) else {}

    async with _up(tmp_path) as api, httpx.AsyncClient(base_url=api, timeout=20) as client:
        found = await until(lambda: automations(client), 60, "the automations")
        assert set(found) == shipped
        assert all(one["enabled"] for one in found.values())
        paused = min(shipped)
        (await client.patch(f"/automations/{found[paused]['id']}", json={"enabled": False})).raise_for_status()
    async with _up(tmp_path) as api, httpx.AsyncClient(base_url=api, timeout=20) as client:
        found = await until(lambda: automations(client), 60, "the automations")
        assert {name for name, one in found.items() if not one["enabled"]} == {paused}
        assert len(found) == len(shipped), "none is made twice"


class _Part:
    """A relay or a runner that ends as it is told, or runs until it is stopped."""

    def __init__(self, ends: str) -> None:
        self._ends, self._stopped = ends, asyncio.Event()

    async def run(self) -> None:
        if self._ends == "fault":
            raise RuntimeError("lost")
        if self._ends == "signal":
            os.kill(os.getpid(), signal.SIGTERM)
        if self._ends != "quietly":
            await self._stopped.wait()

    start = run

    def stop(self) -> None:
        self._stopped.set()


@pytest.mark.parametrize(
    ("relay", "runner", "status"),
    [
        ("fault", "", 1), ("", "fault", 1), ("quietly", "", 1), ("", "quietly", 1),
        ("signal", "", 0), ("", "signal", 0),
    ],
)  # fmt: skip
async def test_the_process_of_relay_and_runner_fails_when_one_of_them_ends_by_itself(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, relay: str, runner: str, status: int
) -> None:
    async def known(*_: object) -> None:
        return None

    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.delenv("CONGVAN_WORK_POOL", raising=False)
    monkeypatch.setenv("CONGVAN_HOME", str(tmp_path))
    monkeypatch.setenv("CONGVAN_SECRET_KEYS", "k" * 40)
    monkeypatch.setattr(flows.__main__, "Relay", lambda *_, **__: _Part(relay))
    monkeypatch.setattr(flows.__main__, "Runner", lambda *_, **__: _Part(runner))
    monkeypatch.setattr(flows.__main__.Deployments, "known", known)
    monkeypatch.setattr(flows.__main__, "configure", lambda _settings: None)
    assert await asyncio.wait_for(flows.__main__.main(), 20) == status


async def test_a_process_that_still_waits_for_prefect_ends_as_it_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As the first process of a container it has no one else who would end it."""
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.delenv("CONGVAN_WORK_POOL", raising=False)
    monkeypatch.setenv("CONGVAN_HOME", str(tmp_path))
    monkeypatch.setenv("CONGVAN_SECRET_KEYS", "k" * 40)
    monkeypatch.setattr(flows.__main__, "Relay", lambda *_, **__: _Part("signal"))
    monkeypatch.setattr(flows.__main__, "configure", lambda _settings: None)
    assert await asyncio.wait_for(flows.__main__.main(), 20) == 0


async def test_a_process_that_still_waits_for_the_database_ends_as_it_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def away(_store: object) -> tuple[str, str]:
        os.kill(os.getpid(), signal.SIGTERM)
        raise ConnectionRefusedError

    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.delenv("CONGVAN_WORK_POOL", raising=False)
    monkeypatch.setenv("CONGVAN_HOME", str(tmp_path))
    monkeypatch.setenv("CONGVAN_SECRET_KEYS", "k" * 40)
    monkeypatch.setattr(flows.__main__, "configure", lambda _settings: None)
    monkeypatch.setattr(flows.__main__, "versions", away)
    assert await asyncio.wait_for(flows.__main__.main(), 20) == 0


async def test_nothing_is_relayed_on_the_schema_of_another_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def older(_store: object) -> tuple[str, str]:
        return "0003", "0004"

    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setenv("CONGVAN_HOME", str(tmp_path))
    monkeypatch.setenv("CONGVAN_SECRET_KEYS", "k" * 40)
    monkeypatch.setattr(flows.__main__, "configure", lambda _settings: None)
    monkeypatch.setattr(flows.__main__, "versions", older)
    assert await asyncio.wait_for(flows.__main__.main(), 20) == 2
    assert "congvan migrate" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("CONGVAN_PROCESSES", "many", "CONGVAN_PROCESSES"),
        ("CONGVAN_PROCESSES", "0", "CONGVAN_PROCESSES"),
        ("CONGVAN_LEASE_S", "1", "CONGVAN_LEASE_S"),
        ("CONGVAN_DATABASE_URL", "nonsense", "CONGVAN_DATABASE_URL"),
        ("CONGVAN_CONFIG", "", "form.yaml"),
    ],
)
async def test_a_setting_with_which_nothing_can_run_ends_it_with_its_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    name: str, value: str, named: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setenv("CONGVAN_HOME", str(tmp_path))
    # A folder of settings of one's own, without the words of the forms.
    shutil.copy(Settings().config / "calendar.yaml", tmp_path)
    monkeypatch.setenv(name, value or str(tmp_path))
    assert await asyncio.wait_for(flows.__main__.main(), 20) == 2
    assert named in capsys.readouterr().err


def test_the_form_names_every_field_of_a_plan_in_vietnamese() -> None:
    schema = CampaignPlan.model_json_schema()
    records = {"CampaignPlan": schema} | schema["$defs"]
    words = yaml.safe_load((Settings().config / "form.yaml").read_text("utf-8"))
    fields = {(name, field) for name, record in records.items() for field in record.get("properties", {})}
    assert fields == {(name, field) for name in words if name in records for field in words[name]}
    assert set(words) - set(records) == {"campaign", "campaign-in-full"}


def test_a_number_of_processes_that_is_set_to_nothing_is_the_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONGVAN_PROCESSES", "")
    assert flows.__main__._processes() == 4


@pytest.mark.parametrize(
    ("fault", "shown"),
    [
        (ValueError("'bql+token@bql.example' has more than 64 octets"), "ValueError in tasks.records"),
        (AddressUnusable("'hoa@t1.example': no such domain"), "AddressUnusable in tasks.records"),
        (ActRefused("đợt này đã kết thúc"), "đợt này đã kết thúc"),
    ],
)
async def test_a_task_that_fails_shows_prefect_only_what_was_written_for_a_reader(
    house: House, monkeypatch: pytest.MonkeyPatch, fault: Exception, shown: str
) -> None:
    async def trips(_house: House) -> list[str]:
        raise fault

    monkeypatch.setattr(records.telling, "tell", trips)
    async with at_work(house):
        with pytest.raises(CongvanError, match=shown) as raised:
            await records.tell.fn()
    assert "@" not in "".join(traceback.format_exception(raised.value))


async def test_a_run_that_fails_outside_a_task_shows_no_more(house: House) -> None:
    """The launch writes every mailbox down; what it trips over stands in the state of its run."""
    with pytest.raises(CongvanError, match="ValueError in ") as raised:
        async with at_work(house):
            raise ValueError("'hoa@t1.example' is no mailbox")
    assert "@" not in "".join(traceback.format_exception(raised.value))


async def test_a_run_without_a_lease_ends_as_prefect_is_told(house: House) -> None:
    with pytest.raises(Abort):
        async with at_work(house):
            raise Abort("another turn of this hop is under way")


async def test_the_process_of_a_run_logs_in_the_form_that_the_settings_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = logging.getLogger("congvan")
    before = own.handlers, own.level, own.propagate
    monkeypatch.setenv("CONGVAN_HOME", str(tmp_path))
    monkeypatch.setenv("CONGVAN_LOG", "json")
    try:
        async with at_work():
            logging.getLogger("congvan.acts.inbox").warning("one mail was left for later")
    finally:
        own.handlers, own.level, own.propagate = before
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["message"] == "one mail was left for later"


@pytest.mark.parametrize("by", ["", "   ", "\n"])
def test_a_form_is_not_sent_under_a_name_that_says_nothing(settings: Settings, by: str) -> None:
    for flow, draw in ((campaign, forms.short), (campaign_in_full, forms.full)):
        schema = draw(parameter_schema(flow).model_dump(), settings)
        field = schema["properties"]["by"]
        with pytest.raises(ValidationError):
            validate(by, field)
        validate("Nguyễn Văn An", field)
