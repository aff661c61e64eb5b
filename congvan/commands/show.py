"""How results are shown: JSON for scripts, tables for people, plain tab-separated lines for pipes."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson

from congvan.commands.given import refuse

#: Words up to this many letters are not broken, however narrow the terminal.
_WORD = 12


def as_json(value: Any) -> None:
    """One line of JSON in UTF-8."""
    print(orjson.dumps(value).decode())


def note(text: str) -> None:
    """Something beside the result, on stderr."""
    print(text, file=sys.stderr)


def place(path: Path, field: str = "--out") -> None:
    """See that a file can be written there, before any work is done for it; raise BadInput."""
    folder = path.resolve().parent
    if not folder.is_dir():
        raise refuse(field, f"không có thư mục {folder}", "tạo thư mục hoặc ghi đường dẫn khác", str(path))
    if path.is_dir():
        raise refuse(field, "là một thư mục", "ghi tên tệp", str(path))


def save(path: Path, data: bytes) -> None:
    """Write a result and say where it is."""
    path.write_bytes(data)
    print(f"Đã ghi {path}.")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table on a terminal; elsewhere its rows, tab-separated under their headings."""
    lines = [["" if cell is None else str(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for line in ([*columns], *lines):
            print("\t".join(" ".join(cell.split()) for cell in line))
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    drawn = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), highlight=False)
    for position, column in enumerate(columns):
        # The first column is what people type again: it must not be cut.
        cells = [line[position] for line in (columns, *lines)]
        longest = max(len(word) for cell in cells for word in (cell.split() or [""]))
        drawn.add_column(column, overflow="fold", no_wrap=position == 0, min_width=min(longest, _WORD))
    for line in lines:
        drawn.add_row(*(escape(cell) for cell in line))
    Console(highlight=False).print(drawn)


def moment(iso: str | None, form: str = "%H:%M %d/%m/%Y") -> str:
    """An instant in ISO form as the clock in Vietnam shows it: "17:00 08/12/2023"."""
    if not iso:
        return ""
    from datetime import datetime

    from congvan.rules.calendar import local

    return f"{local(datetime.fromisoformat(iso)):{form}}"
