"""The schema's version: brought up to date, or compared with what this program needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from congvan.store.database import Store


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


async def migrate(store: Store, revision: str = "head") -> None:
    """Bring the database to a revision; nothing happens where it stands there already.

    Of several processes that begin at once one does it while the others wait; then they find it done.
    """

    def upgrade(connection: Any) -> None:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    async with store.alone() as connection:
        await connection.run_sync(upgrade)


async def versions(store: Store) -> tuple[str | None, str | None]:
    """(what the database has, what this program needs)."""
    async with store.engine.connect() as connection:
        present = await connection.run_sync(
            lambda sync: MigrationContext.configure(sync).get_current_revision()
        )
    return present, ScriptDirectory.from_config(_config()).get_current_head()
