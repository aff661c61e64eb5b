"""Years of running: a backup continues elsewhere, the first release's database is upgraded with a campaign under
way, keys are changed, and what the shipped files of an installation name is there."""

from __future__ import annotations

import asyncio
import errno
import gzip
import os
import re
import sqlite3
import stat
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError
from sqlalchemy import JSON, MetaData, create_engine, func, select
from sqlalchemy.engine import URL

from congvan.acts import audit, auditing, confirmations
from congvan.clock import HandClock
from congvan.house import House, build, with_keys
from congvan.links import Link, Links
from congvan.mail.address import verp_sender, verp_token
from congvan.rules.calendar import instant
from congvan.rules.protocol import Event
from congvan.settings import Settings
from congvan.store.database import Store
from congvan.store.schema import migrate, versions
from congvan.store.tables import Delivery, Message
from tests.conftest import Postbox, turned
from tests.contract.conftest import CHAIN, Desk
from tests.postgres import fresh_database, program
from tests.protocol.world import Town

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "data" / "golden"
KEY = "golden-" + "x" * 32


def house_on(home: Path, *keys: str, url: str = "") -> House:
    given = {"database_url": url} if url else {}
    return build(Settings(home=home, secret_keys=keys or (KEY,), letters=CHAIN / "letters", _env_file=None, **given))


def laid_out(home: Path, golden: Path) -> None:
    """A database of another time: a campaign of two levels whose six letters have left and one is answered."""
    connection = sqlite3.connect(home / "congvan.db")
    connection.executescript(gzip.decompress(golden.read_bytes()).decode())
    connection.close()


async def moved(file: Path, url: str, version: str) -> None:
    """The rows of an old SQLite database go into an empty PostgreSQL, whose tables are of the same version."""
    store, source = Store(url), create_engine(f"sqlite:///{file}")
    await migrate(store, version)
    old, new = MetaData(), MetaData()
    old.reflect(source)
    async with store.engine.begin() as connection:
        await connection.run_sync(new.reflect)
        assert new.tables.keys() == old.tables.keys()
        # Rows come table by table, not in the order in which they name each other.
        await connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        with source.connect() as reader:
            for name in old.tables.keys() - {"alembic_version"}:
                for column in new.tables[name].columns:
                    if isinstance(column.type, JSON):
                        column.type.none_as_null = True
                found = [_with_utc(row) for row in reader.execute(select(old.tables[name])).mappings()]
                if found:
                    await connection.execute(new.tables[name].insert(), found)
    source.dispose()
    await store.close()


def _with_utc(row: Any) -> dict[str, Any]:
    return {name: one.replace(tzinfo=UTC) if isinstance(one, datetime) else one for name, one in row.items()}


def _each_schema_on_each_database() -> Iterator[Any]:
    goldens = sorted(GOLDEN.glob("*.sql.gz"))
    for golden in goldens:
        yield pytest.param(golden, "sqlite", id=f"{golden.name[:4]} on SQLite")
        between = [] if golden in (goldens[0], goldens[-1]) else [pytest.mark.gates]
        yield pytest.param(golden, "postgresql", id=f"{golden.name[:4]} on PostgreSQL", marks=between)


@pytest.mark.parametrize(("golden", "database"), list(_each_schema_on_each_database()))
async def test_an_old_database_is_upgraded_with_its_campaign_under_way(
    golden: Path, database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    laid_out(tmp_path, golden)
    url = ""
    if database == "postgresql":
        url = await fresh_database(request.getfixturevalue("postgres_url"))
        await moved(tmp_path / "congvan.db", url, golden.name[:4])
    house = house_on(tmp_path, url=url)
    house.clock = HandClock(instant(date(2024, 3, 5), time(10)))
    try:
        present, needed = await versions(house.store)
        assert present == golden.name[:4] != needed
        await migrate(house.store)
        assert await versions(house.store) == (needed, needed)
        async with house.store.view() as ledger:
            before: list[Delivery] = await ledger.all(select(Delivery).order_by(Delivery.code))
            messages = await ledger.count(select(Message.id))
        assert sorted(row.state for row in before) == ["COMPLETED"] + ["SENT"] * 5
        silent = [row for row in before if row.state == "SENT" and not row.segments]
        await confirmations.answer(house, silent[0].id, confirmations.Answer(Event.ACKNOWLEDGED, "Hoa", "Văn thư"))
        assert (await turned(house)).taken == [], "nothing leaves twice"
        # The day of the deadline, at the hour of the reminder.
        house.clock = HandClock(instant(date(2024, 3, 6), time(9, 1)))
        reminded = await turned(house)
        assert len(reminded.taken) == 5, "whoever has not completed is reminded"
        async with house.store.view() as ledger:
            assert await ledger.count(select(Message.id)) == messages + 5
        assert (await audit.audit(house, "ra-soat-kho")).findings == []
        assert await auditing.look_over(house) == []
    finally:
        await house.close()


def test_there_is_an_old_database_of_every_schema_before_the_present_one() -> None:
    versions_of = ROOT / "congvan" / "store" / "migrations" / "versions"
    numbers = sorted(path.name[:4] for path in versions_of.glob("[0-9]*.py"))
    assert [path.name[:4] for path in sorted(GOLDEN.glob("*.sql.gz"))] == numbers[:-1]


async def test_a_backup_taken_while_it_runs_goes_on_in_another_place(tmp_path: Path) -> None:
    first = tmp_path / "first"
    first.mkdir()
    laid_out(first, GOLDEN / "0001.sql.gz")
    house = house_on(first)
    house.clock = HandClock(instant(date(2024, 3, 5), time(10)))
    await migrate(house.store)
    second = tmp_path / "second"
    second.mkdir()
    async with house.store.act() as ledger:
        # A writer is under way: its change is not in the copy, and the copy is whole all the same.
        await ledger.change(Delivery, Delivery.state == "SENT", reminders=9)
        await asyncio.to_thread(_backup, first / "congvan.db", second / "congvan.db")
    async with house.store.view() as ledger:
        sent = await ledger.all(select(Delivery).where(Delivery.state == "SENT").order_by(Delivery.code))
        (delivery, *_) = [row for row in sent if not row.segments]
    link = Link(delivery.id, "answer", delivery.link_version, instant(date(2024, 6, 1), time()))
    token = house.links.token(link)
    await house.close()
    copy = house_on(second)
    copy.clock = HandClock(instant(date(2024, 3, 5), time(11)))
    try:
        async with copy.store.view() as ledger:
            assert await ledger.first(select(func.max(Delivery.reminders))) == 0
        assert copy.links.read(token, "answer", await copy.clock.now()).delivery_id == delivery.id
        assert (await turned(copy)).taken == []
        await confirmations.answer(copy, delivery.id, confirmations.Answer(Event.COMPLETED, "Hoa", "Văn thư"))
        assert (await audit.audit(copy, "ra-soat-kho")).findings == []
    finally:
        await copy.close()


@pytest.mark.parametrize("placed", ["postgresql"], indirect=True)
async def test_a_dump_of_postgresql_goes_on_in_another_database(placed: House, postbox: Postbox) -> None:
    """As the operations say: `pg_dump -Fc` while it runs, `pg_restore` into an empty database."""
    town = Town(placed, postbox)
    await town.launch()
    await town.work()
    await town.say("BQL")
    await town.work()
    taken = len(postbox.taken)
    dump = placed.settings.home / "congvan.dump"
    async with placed.store.act() as ledger:
        await ledger.change(Delivery, Delivery.state == "SENT", reminders=9)
        await asyncio.to_thread(_postgresql, "pg_dump", placed.store.url, "-Fc", "-f", str(dump))
    link = await town.link("INV-A")
    url = await fresh_database(placed.store.url.render_as_string(hide_password=False))
    other = Store(url)
    await asyncio.to_thread(_postgresql, "pg_restore", other.url, "--no-owner", "--exit-on-error", str(dump))
    copy = Town(replace(placed, store=other), postbox, town.campaign)
    try:
        assert await versions(other) == await versions(placed.store)
        assert {row.reminders for row in await copy.all(Delivery)} == {0}, "what was not committed is not in the copy"
        token = placed.links.token(link)
        assert copy.house.links.read(token, "answer", await copy.clock.now()).delivery_id == link.delivery_id
        await copy.work()
        assert len(postbox.taken) == taken, "nothing leaves twice"
        await copy.say("VP")
        await copy.pass_on("INV-A", "12")
        await copy.until("2023-12-06", "09:00")
        assert {"T1", "INV-B"} <= {line.split()[2] for line in (await copy.diary())[taken:]}
        assert (await audit.audit(copy.house, "8184")).findings == []
        assert [one for one in await auditing.look_over(copy.house) if not one.passing] == []
    finally:
        assert other.open_transactions == 0
        await other.close()


def _postgresql(name: str, url: URL, *arguments: str) -> None:
    at = ("-h", str(url.query["host"]), "-U", str(url.username), "-d", str(url.database))
    subprocess.run([program(name), *at, *arguments], check=True, timeout=120)


def _backup(source: Path, target: Path) -> None:
    with sqlite3.connect(source) as one, sqlite3.connect(target) as other:
        one.backup(other)
    one.close()
    other.close()


async def test_a_new_key_signs_and_the_old_links_still_open(tmp_path: Path) -> None:
    old, both, new = (house_on(tmp_path, *keys) for keys in ((KEY,), ("n" * 40, KEY), ("n" * 40,)))
    now = instant(date(2024, 3, 5), time(10))
    token = old.links.token(Link("d" * 32, "answer", 1, instant(date(2024, 6, 1), time())))
    assert both.links.read(token, "answer", now).delivery_id == "d" * 32
    fresh = both.links.token(Link("d" * 32, "answer", 1, instant(date(2024, 6, 1), time())))
    assert new.links.read(fresh, "answer", now).delivery_id == "d" * 32
    from congvan.errors import LinkInvalid

    with pytest.raises(LinkInvalid):
        new.links.read(token, "answer", now)
    for house in (old, both, new):
        await house.close()


def test_processes_that_start_together_sign_with_one_key_which_nobody_finds_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each makes a key where there is none: the first to lay its own down is followed by the others."""
    settings = Settings(home=tmp_path, secret_keys=(), _env_file=None)
    seen: list[str] = []
    written = os.fsync

    def meanwhile(descriptor: int) -> None:
        # Another process comes by while this one writes.
        monkeypatch.setattr(os, "fsync", written)
        assert not (tmp_path / "secret.key").exists()
        seen.append(with_keys(settings).secret_keys[0].get_secret_value())
        written(descriptor)

    monkeypatch.setattr(os, "fsync", meanwhile)
    (key,) = with_keys(settings).secret_keys
    assert [key.get_secret_value()] == seen
    assert [path.name for path in tmp_path.iterdir()] == ["secret.key"]
    assert stat.S_IMODE((tmp_path / "secret.key").stat().st_mode) == 0o600


def test_a_full_disk_leaves_no_empty_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        with_keys(Settings(home=tmp_path, secret_keys=(), _env_file=None))
    assert [*tmp_path.iterdir()] == []


def test_the_longest_mailbox_that_the_settings_take_bears_the_address_of_a_delivery() -> None:
    links = Links([KEY], "http://127.0.0.1:4280")
    token = links.mail_token("0123456789abcdef" * 2)
    mailbox = f"{'v' * 18}@bql.example"
    assert verp_token(mailbox, verp_sender(Settings(mail_from=mailbox, _env_file=None).mail_from, token)) == token
    with pytest.raises(ValidationError):
        Settings(mail_from=f"v{mailbox}", _env_file=None)


# ------------------------------------------------------------------------------------ the shipped files


def test_prefect_yaml_names_the_deployments_and_queues_that_are_registered() -> None:
    from flows.deployments import QUEUES, SERVED

    told = yaml.safe_load((ROOT / "prefect.yaml").read_text("utf-8"))["deployments"]
    ours = {f"{flow.fn.__module__}.{flow.fn.__name__}": queue for flow, (_, queue) in SERVED.items()}
    assert {one["entrypoint"]: one["work_pool"]["work_queue_name"] for one in told} == ours
    assert set(ours.values()) == set(QUEUES)
    timed = {f"{flow.fn.__module__}.{flow.fn.__name__}" for flow, (schedule, _) in SERVED.items() if schedule}
    assert {one["entrypoint"] for one in told if "schedules" in one} == timed


def test_every_setting_of_the_example_is_one_that_somebody_reads() -> None:
    lines = (ROOT / "deploy" / "env.example").read_text("utf-8").splitlines()
    names = {line.partition("=")[0] for line in lines if line and not line.startswith("#")}
    known = {f"CONGVAN_{name.upper()}" for name in Settings.model_fields}
    known |= {"CONGVAN_WORK_POOL", "CONGVAN_HOST", "CONGVAN_PROCESSES"}
    assert {name for name in names if name.startswith("CONGVAN_")} <= known
    assert not [line for line in lines if re.search(r"(KEYS|TOKEN)=.+", line)], "no secret is shipped"


def test_every_setting_is_told_of() -> None:
    told = "".join((ROOT / name).read_text("utf-8") for name in ("README.md", "docs/operations.md"))
    names = {f"CONGVAN_{name.upper()}" for name in Settings.model_fields} | {"CONGVAN_DEBUG"}
    assert {name for name in names if not re.search(rf"\b{name}\b", told)} == set()


def test_what_is_installed_to_run_is_locked_as_it_was_tested_and_holds_every_dependency() -> None:
    def locked(name: str) -> dict[str, str]:
        blocks = re.split(r"^(?=\w)", (ROOT / name).read_text("utf-8"), flags=re.M)
        return {re.split(r"[=\[]", one)[0]: one for one in blocks if one}

    tested, run = locked("requirements-dev.lock"), locked("requirements.lock")
    assert {name for name in run if run[name] != tested.get(name)} == set()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = {re.split(r"[^\w.-]", one)[0].lower().replace(".", "-") for one in project["dependencies"]}
    assert {name for name in wanted if name not in run} == set()
    assert "docxtpl" in wanted, "a clerk is promised the letter in Word"
    assert "optional-dependencies" not in project


def test_forgetting_the_demo_leaves_an_installation_alone(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    own, demo = tmp_path / ".congvan" / "secret.key", tmp_path / ".congvan" / "demo" / "congvan.db"
    demo.parent.mkdir(parents=True)
    own.touch()
    demo.touch()
    subprocess.run(["make", "-s", "clean"], cwd=tmp_path, check=True)
    assert own.exists()
    assert not demo.parent.exists()


def test_the_image_and_the_script_together_make_the_two_databases_that_the_example_names() -> None:
    """PostgreSQL's image makes one named after its user before it runs the script, and stops at a script that fails."""
    text = (ROOT / "deploy" / "env.example").read_text("utf-8")
    told = dict(line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))
    urls = (told["CONGVAN_DATABASE_URL"], told["PREFECT_SERVER_DATABASE_CONNECTION_URL"])
    script = (ROOT / "deploy" / "two-databases.sql").read_text("utf-8")
    made = re.findall(r"^CREATE DATABASE (\w+);$", script, re.M)
    assert "POSTGRES_DB" not in told
    assert sorted([told["POSTGRES_USER"], *made]) == sorted(url.rpartition("/")[2] for url in urls)


def test_the_units_write_where_systemd_lets_them() -> None:
    for unit in (ROOT / "deploy" / "systemd").glob("*.service"):
        text = unit.read_text("utf-8")
        (allowed,) = re.findall(r"^ReadWritePaths=(.+)$", text, re.M)
        said = dict(one.split("=", 1) for one in " ".join(re.findall(r"^Environment=(.+)$", text, re.M)).split())
        # Prefect's server lays its pages down before it serves them; where it may not, there are none.
        pages = {"PREFECT_UI_STATIC_DIRECTORY"} if "server" in unit.name else set()
        written = {name for name, path in said.items() if path.startswith(allowed)}
        assert written == {"CONGVAN_HOME", "PREFECT_HOME"} | pages


def test_commands_beside_the_units_run_as_their_user_with_their_settings() -> None:
    """A command of root would make root's files, which the services cannot write."""
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    (line,) = re.findall(r"^congvan\(\) \{ (.+?); \}$", text.replace("\\\n", " "), re.M)
    for unit in (ROOT / "deploy" / "systemd").glob("*.service"):
        said = unit.read_text("utf-8")
        (user,), (folder,), (file,), (home,) = (
            re.findall(rf"^{name}(\S+)", said, re.M)
            for name in ("User=", "WorkingDirectory=", "EnvironmentFile=", "Environment=CONGVAN_HOME=")
        )
        same = (f"--uid={user}", f"--working-directory={folder}", f"EnvironmentFile={file}", f"CONGVAN_HOME={home}")
        assert all(part in line for part in same), unit.name
    assert f"useradd --system --home-dir {home} --shell /usr/sbin/nologin {user}\n" in text
    flows = (ROOT / "deploy" / "systemd" / "congvan-flows.service").read_text("utf-8")
    (group,) = re.findall(r"^#SupplementaryGroups=(\S+)$", flows, re.M)
    assert f"-p SupplementaryGroups={group}" in text


def test_a_folder_of_settings_of_ones_own_is_mounted_where_the_settings_name_it() -> None:
    compose = (ROOT / "deploy" / "compose.yaml").read_text("utf-8")
    (waiting,) = re.findall(r"^  # (volumes: .+)$", compose, re.M)
    shipped = yaml.safe_load(compose)["x-engine"]["volumes"]
    (*same, own) = yaml.safe_load(waiting)["volumes"]
    assert same == shipped
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    assert waiting in text
    assert f"CONGVAN_CONFIG={own.split(':')[1]}`" in text


def test_the_image_has_prefects_pages_laid_down_where_its_user_may_write() -> None:
    text = (ROOT / "deploy" / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    (line,) = re.findall(r"^ENV (.+)$", text, re.M)
    said = dict(one.split("=", 1) for one in line.split())
    (own,) = re.findall(r"install -d -m 750 -o congvan (\S+)", text)
    for name in ("CONGVAN_HOME", "PREFECT_HOME", "PREFECT_UI_STATIC_DIRECTORY"):
        assert Path(said[name]).is_relative_to(own), name


def test_operators_reach_prefects_pages_of_the_containers_from_this_machine_alone() -> None:
    """By themselves the pages ask PREFECT_API_URL, which is a name that only the containers know."""
    compose: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text("utf-8"))
    server = compose["services"]["server"]
    (port,) = server["ports"]
    address, _, _ = port.rpartition(":")
    assert address.startswith("127.0.0.1:")
    assert f"http://{address}/api" in server["environment"]["PREFECT_UI_API_URL"]
    published = {name for name, one in compose["services"].items() if "ports" in one}
    assert published == {"server", "proxy"}


def test_every_program_of_the_units_and_containers_is_a_command_of_ours(desk: Desk) -> None:
    compose: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text("utf-8"))
    ours = [service for service in compose["services"].values() if "image" not in service]
    commands = [service["command"] for service in ours if "command" in service]
    for unit in (ROOT / "deploy" / "systemd").glob("*.service"):
        (line,) = re.findall(r"^ExecStart=(.+)$", unit.read_text("utf-8"), re.M)
        commands.append(re.sub(r"\S*/bin/", "", line).split())
    assert {tuple(command[:3]) for command in commands} == {
        ("prefect", "server", "start"), ("python", "-m", "flows"), ("python", "-m", "flows.worker"),
        ("congvan", "portal", "--host"), ("congvan", "portal"),
    }  # fmt: skip
    assert desk.run("portal", "--port", "70000").status == 2
