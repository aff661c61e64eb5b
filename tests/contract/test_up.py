"""What `congvan up` puts into the surroundings of its processes: never another installation's database."""

from __future__ import annotations

from pathlib import Path

import pytest

from congvan.acts import demo
from congvan.errors import ActRefused
from congvan.house import House
from congvan.settings import Settings
from congvan.up import _Up
from tests.conftest import Postbox, at
from tests.protocol.world import Town

ENV = """
CONGVAN_PORTAL_URL=https://congvan.bql.example
CONGVAN_DATABASE_URL=sqlite+aiosqlite:///real.db
CONGVAN_IMAP_URL=imaps://a:b@mail.bql.example/INBOX
CONGVAN_MTA_LOG=/var/log/mail.log
CONGVAN_LEASE_S=45
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation whose settings stand in `.env`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(ENV, "utf-8")
    for name in ("PORTAL_URL", "DATABASE_URL", "IMAP_URL", "MTA_LOG", "LEASE_S", "HOME", "SMTP_URL", "DEMO"):
        monkeypatch.setenv(f"CONGVAN_{name}", "")
        monkeypatch.delenv(f"CONGVAN_{name}")
    return tmp_path


def surroundings(monkeypatch: pytest.MonkeyPatch, *, demo: bool) -> Settings:
    """The settings that every process of an `up` reads."""
    with monkeypatch.context() as patch:
        # What is set meanwhile is taken back at the end of the block.
        surrounding: dict[str, str] = {}
        patch.setattr("os.environ", surrounding)
        _Up(demo=demo, speed=0, exit_=True)._environment()
        return Settings()


def test_what_stands_in_the_env_file_counts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = surroundings(monkeypatch, demo=False)
    assert found.portal_url == "https://congvan.bql.example"
    assert found.database == "sqlite+aiosqlite:///real.db"
    assert found.lease_s == 45


def test_a_folder_of_settings_of_ones_own_needs_nothing_of_a_demo(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONGVAN_CONFIG", str(folder))
    assert _Up(demo=False, speed=0, exit_=False).script is None


def test_a_demo_plays_beside_the_installation_and_not_in_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = surroundings(monkeypatch, demo=True)
    assert found.database == f"sqlite+aiosqlite:///{folder / '.congvan' / 'demo' / 'congvan.db'}"
    assert (found.imap_url, found.mta_log) == ("", Path("/dev/null"))
    assert found.smtp_url.startswith("smtp://127.0.0.1:")
    assert found.portal_url.startswith("http://127.0.0.1:")


async def test_no_demo_begins_in_a_database_in_which_a_campaign_is_under_way(house: House, postbox: Postbox) -> None:
    await Town(house, postbox).launch()
    with pytest.raises(ActRefused):
        await demo.start_clock(house, at("2023-12-01"))
