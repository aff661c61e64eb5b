"""Statements that are built once, run past SQLAlchemy: it compiles each, and from then on sqlite3 is asked directly.

A simulated day is some hundreds of statements; what SQLAlchemy does around each takes longer than the database.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Dialect
from sqlalchemy.exc import DBAPIError

from congvan.store.bulk import row_of


@dataclass(frozen=True, slots=True)
class Found:
    """What a statement has found, as far as anybody asks a result of SQLAlchemy for it."""

    rows: Sequence[Any]
    rowcount: int

    def __iter__(self) -> Iterator[Any]:
        return iter(self.rows)

    def all(self) -> Sequence[Any]:
        """Every row."""
        return self.rows

    def first(self) -> Any:
        """The first row, or None."""
        return self.rows[0] if self.rows else None

    def one(self) -> Any:
        """The one row that was asked for."""
        (row,) = self.rows
        return row

    def scalar(self) -> Any:
        """The first value of the first row, or None."""
        return self.rows[0][0] if self.rows else None

    def scalar_one(self) -> Any:
        """The one value that was asked for."""
        ((value,),) = self.rows
        return value


class Scalars(list[Any]):
    """What a statement for one entity or column has found."""

    def all(self) -> list[Any]:
        """Every one."""
        return self

    def first(self) -> Any:
        """The first, or None."""
        return self[0] if self else None

    def one_or_none(self) -> Any:
        """The only one, or None."""
        assert len(self) < 2, "asked by its key"
        return self.first()


class Prepared:
    """One statement as SQL, with what SQLAlchemy's types do to its values and its columns.

    names: of the values that it will be given; as the engine does, for a name that is reserved is refused by them.
    """

    def __init__(self, statement: Any, names: Sequence[str], dialect: Dialect) -> None:
        self._dialect: Any = dialect
        compiled: Any = statement.compile(dialect=dialect, column_keys=list(names))
        assert not getattr(compiled, "update_prefetch", ()), "a value that Python would set"
        defaults = {column.key: column.default for column in getattr(compiled, "insert_prefetch", ())}
        assert all(one.is_scalar for one in defaults.values()), "a default that Python would work out"
        binds = compiled.bind_names.items()
        # `column IN (list)`: each value of the list is a parameter of its own.
        spread = compiled._process_parameters_for_postcompile({name: bind.effective_value for bind, name in binds})
        self._sql: str = spread.statement
        self._order: Sequence[str] = spread.positiontup
        # Without those that have to be given: a value that is missing is an error, as the engine has it.
        self._fixed = {name: bind.effective_value for bind, name in binds if not bind.required}
        self._fixed |= spread.additional_parameters
        self._fixed |= {name: one.arg for name, one in defaults.items()}
        self._told: dict[str, Callable[[Any], Any]] = {**compiled._bind_processors, **spread.processors}
        columns = compiled._result_columns
        self._row: Any = row_of(tuple(one.keyname for one in columns))
        self._read: list[tuple[int, Callable[[Any], Any]]] = [
            (place, read)
            for place, one in enumerate(columns)
            if (read := one.type._cached_result_processor(dialect, None)) is not None
        ]

    def run(self, raw: sqlite3.Connection, values: Mapping[str, Any]) -> Found:
        """Ask it with these values. Raises what SQLAlchemy would of what the database says."""
        told, known = self._told, {**self._fixed, **values}
        given = [told[name](known[name]) if name in told else known[name] for name in self._order]
        try:
            cursor = raw.execute(self._sql, given)
            rows = cursor.fetchall()
        except sqlite3.Error as error:
            raise DBAPIError.instance(self._sql, given, error, sqlite3.Error, dialect=self._dialect) from error
        if self._read:
            rows = [self._opened(row) for row in rows]
        return Found([self._row._make(row) for row in rows], cursor.rowcount)

    def _opened(self, row: Sequence[Any]) -> Sequence[Any]:
        opened = list(row)
        for place, read in self._read:
            opened[place] = read(opened[place])
        return opened
