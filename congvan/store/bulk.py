"""Hundreds of rows, or keys, as one parameter or one value: row by row the libraries cost more than the database."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any

import orjson
from sqlalchemy import JSON, Boolean, Select, String, TypeDecorator, any_, bindparam, cast, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY

from congvan.store.tables import Instant, Table, utc


class Keys(TypeDecorator[list[str]]):
    """Any number of keys as one parameter: JSON for SQLite, an array for PostgreSQL."""

    impl = ARRAY(String)
    cache_ok = True

    def load_dialect_impl(self, dialect: Any) -> Any:
        """SQLite has no arrays."""
        return dialect.type_descriptor(String() if dialect.name == "sqlite" else ARRAY(String()))

    def process_bind_param(self, value: Iterable[str] | None, dialect: Any) -> Any:
        """The keys as the database takes them."""
        keys = list(value or ())
        return _text(keys) if dialect.name == "sqlite" else keys


def among(column: Any, keys: str | Iterable[str], is_sqlite: bool) -> Any:
    """`column IN keys` with one parameter, however many keys there are: of this name, or with the keys themselves.

    Databases and their drivers take some 32,000 parameters at the most, and a country has more recipients.
    """
    if isinstance(keys, str):
        given = bindparam(keys, type_=Keys)
    else:
        given = bindparam("keys", list(keys), type_=Keys, unique=True)
    if is_sqlite:
        return column.in_(select(func.json_each(given).table_valued("value").c.value))
    return column == any_(given)


class Sheet:
    """Rows of one shape as one parameter of JSON, taken apart by the database.

    values: by column, what stands in each row; what is the same in all of them is bound once. Row by row
    SQLAlchemy and the driver spend more on a parameter than the database on the row.
    """

    def __init__(
        self, table: type[Table], rows: Sequence[Mapping[str, Any]], is_sqlite: bool
    ) -> None:
        self.table: Any = table.__table__
        self._is_sqlite = is_sqlite
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        first, *_ = columns
        # One of them has to differ, since there are as many rows as there are values of it.
        differ = [
            name
            for name, values in columns.items()
            if name in (first, "id") or any(value != values[0] for value in values)
        ]
        told = list(zip(*(self._told(self.table.c[name], columns[name]) for name in differ), strict=True))
        self._source: Any = (
            func.json_each(_text(told)) if is_sqlite else func.json_array_elements(literal(told, JSON))
        ).table_valued("value", name="sheet")
        self.values: dict[str, Any] = {
            name: self._taken(differ.index(name), self.table.c[name])
            if name in differ
            else literal(values[0], self.table.c[name].type)
            for name, values in columns.items()
        }

    def _told(self, column: Any, values: Sequence[Any]) -> Sequence[Any]:
        """As the column's own type would write them."""
        if isinstance(column.type, Instant):
            return [value and self._instant(value) for value in values]
        if isinstance(column.type, JSON):
            return [_text(value) if isinstance(value, dict | list | tuple) else value for value in values]
        return values

    def _instant(self, value: datetime) -> str:
        value = utc(value)
        return value.replace(tzinfo=None).isoformat(" ", "microseconds") if self._is_sqlite else value.isoformat()

    def _taken(self, place: int, column: Any) -> Any:
        value = self._source.c.value
        if self._is_sqlite:
            return func.json_extract(value, f"$[{place}]")
        return cast(value.op("->>")(place), column.type)


class Bundle:
    """The rows of a query as one value of JSON, for SQLite; each column as its own type would read it."""

    def __init__(self, query: Select[Any]) -> None:
        columns = list(query.selected_columns)
        told = [func.json(one) if isinstance(one.type, JSON) else one for one in columns]
        inner = query.with_only_columns(func.json_array(*told).label("told")).subquery("bundle")
        self.query = select(func.json_group_array(func.json(inner.c.told), type_=String))
        self._row: Any = row_of(tuple(one.key for one in columns))
        self._instants = [place for place, one in enumerate(columns) if isinstance(one.type, Instant)]
        self._flags = [place for place, one in enumerate(columns) if isinstance(one.type, Boolean)]

    def opened(self, said: str) -> list[Any]:
        """The rows again."""
        rows: list[list[Any]] = orjson.loads(said)
        for place in self._instants:
            for row in rows:
                row[place] = row[place] and datetime.fromisoformat(row[place]).replace(tzinfo=UTC)
        for place in self._flags:
            for row in rows:
                row[place] = row[place] if row[place] is None else bool(row[place])
        return list(map(self._row._make, rows))


@cache
def bundle_of(query: Select[Any]) -> Bundle:
    """Of a query that is built once: kept for ever."""
    return Bundle(query)


@lru_cache(maxsize=64)
def row_of(names: tuple[str, ...]) -> Any:
    """The named tuple for rows of these columns."""
    return namedtuple("Row", names)


def _text(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()
