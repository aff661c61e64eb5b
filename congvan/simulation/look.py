"""Reading the database from outside, past the engine's own store: what an auditor with a SQL prompt would see."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from typing import Any

from congvan.simulation.inline import Disk


def instant_of(text: str | None) -> datetime | None:
    """An instant as SQLite keeps it; None stays None."""
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)


def some(text: str) -> datetime:
    """An instant that is there."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def rows(disk: Disk, sql: str, *values: Any) -> list[sqlite3.Row]:
    """Rows by column name."""
    cursor = disk.raw.cursor()
    cursor.row_factory = sqlite3.Row
    return cursor.execute(sql, values).fetchall()


def named(disk: Disk, sql: str, values: dict[str, str]) -> list[sqlite3.Row]:
    """As `rows`, with parameters by name."""
    cursor = sqlite3.Connection.cursor(disk.raw, sqlite3.Cursor)
    cursor.row_factory = sqlite3.Row
    return cursor.execute(sql, values).fetchall()


def row(disk: Disk, table: str, key: str) -> sqlite3.Row:
    """The row of a table under this id."""
    return rows(disk, f"select * from {table} where id = ?", key)[0]
