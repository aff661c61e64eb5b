"""Hundreds of rows, or keys, as one parameter or one value: row by row the libraries cost more than the database."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any

import orjson
from sqlalchemy import (
    JSON,
    Boolean,
    Insert,
    Select,
    String,
    TypeDecorator,
    Update,
    any_,
    bindparam,
    cast,
    func,
    insert,
    select,
    update,
)
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

    What is the same in all of them is bound once. Row by row SQLAlchemy and the driver spend more on a parameter than
    the database on the row. The statements are built once for each shape; `bound` is what they are given.
    """

    def __init__(self, table: type[Table], rows: Sequence[Mapping[str, Any]], is_sqlite: bool) -> None:
        of: Any = table.__table__.c
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        first, *_ = columns
        # One of them has to differ, since there are as many rows as there are values of it.
        differ = tuple(
            name
            for name, values in columns.items()
            if name in (first, "id") or any(value != values[0] for value in values)
        )
        self._shape = table, tuple(columns), differ, is_sqlite
        told = list(zip(*(_told(of[name], columns[name], is_sqlite) for name in differ), strict=True))
        self.bound: dict[str, Any] = {"told": _text(told) if is_sqlite else told}
        self.bound |= {f"same_{name}": values[0] for name, values in columns.items() if name not in differ}

    @property
    def inserting(self) -> Insert:
        """Insert the rows."""
        return _poured(*self._shape)

    @property
    def changing(self) -> Update:
        """Change the rows with these ids."""
        return _changed(*self._shape)


@lru_cache(maxsize=256)
def _poured(table: type[Table], names: Sequence[str], differ: Sequence[str], is_sqlite: bool) -> Insert:
    values = _taken(table, names, differ, is_sqlite)
    return insert(table.__table__).from_select(list(values), select(*values.values()))  # type: ignore[arg-type]


@lru_cache(maxsize=256)
def _changed(table: type[Table], names: Sequence[str], differ: Sequence[str], is_sqlite: bool) -> Update:
    values = _taken(table, names, differ, is_sqlite)
    key = values.pop("id")
    return update(table.__table__).where(table.__table__.c.id == key).values(values)  # type: ignore[arg-type]


def _taken(table: type[Table], names: Sequence[str], differ: Sequence[str], is_sqlite: bool) -> dict[str, Any]:
    """By column, what stands in each row."""
    of: Any = table.__table__.c
    told = bindparam("told", type_=String if is_sqlite else JSON)
    rows = func.json_each(told) if is_sqlite else func.json_array_elements(told)
    value = rows.table_valued("value", name="sheet").c.value

    def taken(name: str) -> Any:
        if name not in differ:
            return bindparam(f"same_{name}", type_=of[name].type)
        place = differ.index(name)
        return func.json_extract(value, f"$[{place}]") if is_sqlite else cast(value.op("->>")(place), of[name].type)

    return {name: taken(name) for name in names}


def _told(column: Any, values: Sequence[Any], is_sqlite: bool) -> Sequence[Any]:
    """As the column's own type would write them."""
    if isinstance(column.type, Instant):
        return [value and _instant(value, is_sqlite) for value in values]
    if isinstance(column.type, JSON):
        return [_text(value) if isinstance(value, dict | list | tuple) else value for value in values]
    return values


def _instant(value: datetime, is_sqlite: bool) -> str:
    value = utc(value)
    return value.replace(tzinfo=None).isoformat(" ", "microseconds") if is_sqlite else value.isoformat()


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
