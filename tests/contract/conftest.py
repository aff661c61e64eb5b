"""A desk for the command line: a folder of its own with a small chain, its registry and its plan."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from bench import outbox_world
from congvan.cli import main
from congvan.house import House, build
from congvan.store.database import Store
from congvan.store.schema import migrate
from tests.conftest import Postbox, turned
from tests.postgres import fresh_database

CHAIN = Path(__file__).parents[1] / "data" / "chains" / "two"
#: Urgent, so that its letters leave at whatever hour the tests are run.
_URGENT = "urgency: urgent\ndirectives:"
T = TypeVar("T")


@dataclass(frozen=True)
class Ran:
    """How a command ended. out, err: what it said on stdout and stderr."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it said on stdout, as JSON."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """One JSON value a line."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True)
class Desk:
    """Where an operator sits. folder holds registry/, plan.yaml and cascade.yaml; home is below it."""

    folder: Path
    home: Path
    capsys: pytest.CaptureFixture[str]

    def run(self, *arguments: str | Path) -> Ran:
        """One command, in this process."""
        self.capsys.readouterr()
        status = main([str(one) for one in arguments])
        said = self.capsys.readouterr()
        return Ran(status, said.out, said.err)

    def must(self, *arguments: str | Path) -> Ran:
        """One command that has to succeed."""
        ran = self.run(*arguments)
        assert ran.status == 0, ran.err
        return ran

    @property
    def registry(self) -> Path:
        return self.folder / "registry"

    @property
    def plan(self) -> Path:
        return self.folder / "plan.yaml"

    @property
    def cascade(self) -> Path:
        return self.folder / "cascade.yaml"

    def change(self, path: Path, old: str, new: str) -> Path:
        """Replace a text that must be in the file."""
        text = path.read_text("utf-8")
        assert old in text, f"{old!r} is not in {path.name}"
        path.write_text(text.replace(old, new, 1), "utf-8")
        return path

    def within(self, work: Callable[[House], Awaitable[T]]) -> T:
        """Something done in the same house, as the engine would."""

        async def inside() -> T:
            house = build()
            try:
                return await work(house)
            finally:
                await house.close()

        return asyncio.run(inside())

    def turn(self) -> Postbox:
        """Let every hop do what is due; what a mail server that takes everything got."""
        return self.within(turned)

    def launched(self, mode: str = "exercise") -> str:
        """A campaign that has just been launched; its id."""
        self.must("registry", "import", self.registry)
        return str(self.must("campaign", "launch", self.plan, "--mode", mode, "--by", "Lan", "--json").json["campaign"])

    def sent(self) -> list[dict[str, Any]]:
        """The deliveries of a campaign whose letters have left."""
        campaign = self.launched()
        self.turn()
        return self.must("deliveries", campaign, "--json").lines

    def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table."""
        path = self.home / "congvan.db"
        if not path.exists():
            return {}
        connection = sqlite3.connect(path)
        try:
            names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
            return {name: sorted(connection.execute(f"SELECT * FROM {name}"), key=repr) for (name,) in names}
        finally:
            connection.close()


@pytest.fixture(params=["sqlite", "postgresql"])
async def placed(request: pytest.FixtureRequest, tmp_path: Path, house: House) -> AsyncIterator[House]:
    """A house on each database, with the tables that the migrations make."""
    if request.param == "sqlite":
        store = Store(f"sqlite+aiosqlite:///{tmp_path / 'placed.db'}")
    else:
        store = Store(await fresh_database(request.getfixturevalue("postgres_url")))
    await migrate(store)
    yield replace(house, store=store)
    assert store.open_transactions == 0
    await store.close()


@pytest.fixture
async def on_postgresql(tmp_path: Path, postgres_url: str) -> AsyncIterator[House]:
    """A house on a PostgreSQL database of its own, for what two transactions at once do to each other: on SQLite they
    come one after the other."""
    house = build(outbox_world.settings(tmp_path, 25, await fresh_database(postgres_url)))
    await migrate(house.store)
    yield house
    await house.close()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Desk:
    """A desk in a folder of its own."""
    for name in list(os.environ):
        if name.startswith(("CONGVAN_", "PREFECT_")) and name != "CONGVAN_TEST_DATABASE_URL":
            monkeypatch.delenv(name)
    made = Desk(tmp_path, tmp_path / "home", capsys)
    shutil.copytree(CHAIN / "registry", made.registry)
    made.plan.write_text((CHAIN / "plan.yaml").read_text("utf-8").replace("directives:", _URGENT, 1), "utf-8")
    # The shipped words serve here; templates of its own are another test's matter.
    made.cascade.write_text(
        (CHAIN / "cascade.yaml").read_text("utf-8").replace("template: ministry", "template: board"), "utf-8"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONGVAN_HOME", str(made.home))
    monkeypatch.setenv("CONGVAN_CASCADE", str(made.cascade))
    return made


PASSWORD = "no-secret-at-all"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def imap(tmp_path: Path) -> Iterator[int]:
    """The port of a real IMAP server on loopback with one empty mailbox."""
    program = shutil.which("mail_devel", path=str(Path(sys.executable).parent)) or shutil.which("mail_devel")
    if program is None:
        pytest.skip("no IMAP server: install mail-devel (it is in requirements-dev.lock)")
    port = free_port()
    log = (tmp_path / "imap.log").open("wb")
    server = subprocess.Popen(
        [program, "--host", "127.0.0.1", "--imap-port", str(port), "--smtp-port", str(free_port()), "--smtps-port",
         str(free_port()), "--no-http", "--user", "congvan@bql.example", "--password", PASSWORD],
        stdout=log, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert server.poll() is None, (tmp_path / "imap.log").read_text()
            time.sleep(0.1)
        yield port
    finally:
        server.terminate()
        server.wait(10)
        log.close()
