"""A registry as it was handed in: workbook or CSV files → one `Register`, or every fault that is in them.

All rows or none: nothing is returned while a single cell is wrong.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from congvan.errors import BadInput, Fault
from congvan.registry.columns import ORGANISATIONS
from congvan.registry.faults import explain
from congvan.registry.references import check_references
from congvan.registry.rows import Reading, Row, read_rows
from congvan.registry.tables import read_tables
from congvan.rules.names import fold
from congvan.rules.records import Contact, Organisation, Park, Person, Record, Register

R = TypeVar("R", bound=Record)
_NOTHING = Register(organisations=())


def read_register(
    paths: Sequence[Path], levels: Collection[str] | None = None, stored: Register = _NOTHING
) -> Register:
    """The registry in these files and folders; raise BadInput with every fault.

    levels: the levels of the cascade; a mapping from level to name lets clerks write the name instead.
    None accepts every level. stored: what is known already, so that one new tenant can name its park.

    1. Read the tables; recognise each by its sheet name or its headings.
    2. Read the cells of each row; build the records.
    3. Check what rows say of each other: codes, levels, parents, parks, owners of mailboxes.
    """
    reading = read_rows(read_tables(paths))
    if not reading.rows[ORGANISATIONS.name] and not reading.faults:
        names = ", ".join(str(path) for path in paths)
        remedy = f"điền ít nhất một dòng ở bảng «{ORGANISATIONS.sheet}»"
        reading.faults.append(Fault(names, "", "không có tổ chức nào", remedy))
    _name_levels(reading.rows[ORGANISATIONS.name], levels)
    organisations, parks = _assemble(reading)
    reading.faults.extend(check_references(reading.rows, levels, stored))
    if reading.faults:
        raise BadInput(sorted(reading.faults, key=lambda one: (one.file, one.row or 0)))
    untold = {row.text("code"): _unasked(row) for row in reading.rows["organisations"]}
    for kind in ("contacts", "signers"):
        spoken_of = {row.text("organisation") for row in reading.rows[kind]}
        untold |= {code: (*fields, kind) for code, fields in untold.items() if code not in spoken_of}
    return Register(
        organisations=organisations,
        parks=parks,
        untold={code: fields for code, fields in untold.items() if fields},
        untold_parks={row.text("code"): fields for row in reading.rows["parks"] if (fields := _unasked(row))},
    )


def _unasked(row: Row) -> tuple[str, ...]:
    return tuple(column.field for column in row.kind.columns if column.field not in row.asked)


def _name_levels(rows: list[Row], levels: Collection[str] | None) -> None:
    if isinstance(levels, Mapping):
        by_name = {fold(str(name)): str(code) for code, name in levels.items()}
        for row in rows:
            level = row.text("level")
            if level and level not in levels:
                row.values["level"] = by_name.get(fold(level), level)


def _assemble(reading: Reading) -> tuple[tuple[Organisation, ...], tuple[Park, ...]]:
    faults = reading.faults
    contacts: dict[str, list[Contact]] = {}
    signers: dict[str, list[Person]] = {}
    for row in reading.rows["contacts"]:
        contacts.setdefault(row.text("organisation"), []).extend(_record(row, Contact, faults))
    for row in reading.rows["signers"]:
        signers.setdefault(row.text("organisation"), []).extend(_record(row, Person, faults))
    parks = [one for row in reading.rows["parks"] for one in _record(row, Park, faults)]
    organisations = [
        one.model_copy(
            update={
                "contacts": tuple(contacts.get(one.code, ())),
                "signers": tuple(signers.get(one.code, ())),
            }
        )
        for row in reading.rows["organisations"]
        for one in _record(row, Organisation, faults)
    ]
    return tuple(organisations), tuple(parks)


def _record(row: Row, model: type[R], faults: list[Fault]) -> list[R]:
    """The record of a row, or none and its faults."""
    given: dict[str, Any] = {name: value for name, value in row.values.items() if name != "organisation"}
    try:
        return [model.model_validate(given)]
    except ValidationError as error:
        for one in error.errors(include_url=False):
            if one["type"] != "missing":  # already told of, by the cell or by the heading
                faults.append(row.fault(str(one["loc"][0]), *explain(one)))
        return []
