"""What the rows of a registry say of each other: codes once, parents, parks and owners that exist."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from congvan.errors import Fault
from congvan.registry.faults import meant, shown
from congvan.registry.rows import Row
from congvan.rules.records import Register

Rows = dict[str, list[Row]]


class _Known:
    """Tells of codes that do not exist. Only the first ones get a guess at what was meant: each guess
    walks through all codes, and a wrong column in a large registry is wrong in every row."""

    def __init__(self) -> None:
        self.guesses_left = 50

    def unknown(self, row: Row, field: str, codes: Collection[str], known: set[str], what: str) -> Iterator[Fault]:
        for code in codes:
            if code and code not in known:
                self.guesses_left -= 1
                guess = meant(code, known) if self.guesses_left >= 0 else ""
                remedy = f"sửa mã{guess} hoặc thêm {what} này"
                yield row.fault(field, f"không có {what} «{shown(code)}»", remedy)


def check_references(rows: Rows, levels: Collection[str] | None, stored: Register) -> Iterator[Fault]:
    """Every fault between rows, and between them and what is stored already.

    A code whose own cell is spoiled is not told of a second time.
    """
    known = _Known()
    for kind in ("organisations", "parks"):
        yield from _twice(rows[kind], "code", "mã này")
        yield from _spelt_otherwise(rows[kind], {one.code for one in getattr(stored, kind)})
    here = {row.text("code") for row in rows["organisations"]}
    organisations = here | {one.code for one in stored.organisations}
    parks = {row.text("code") for row in rows["parks"]} | {one.code for one in stored.parks}
    for row in rows["organisations"]:
        yield from known.unknown(row, "parent", [row.text("parent")], organisations, "tổ chức")
        yield from known.unknown(row, "parks", row.codes("parks"), parks, "khu công nghiệp")
        if levels is not None:
            yield from known.unknown(row, "level", [row.text("level")], set(levels), "cấp")
    for row in rows["parks"]:
        yield from known.unknown(row, "investor", [row.text("investor")], organisations, "tổ chức")
    for kind in ("contacts", "signers"):
        for row in rows[kind]:
            yield from known.unknown(row, "organisation", [row.text("organisation")], here, "tổ chức")
    yield from _same_mailbox(rows["contacts"])
    yield from _loops(rows["organisations"], stored)
    for kind in ("organisations", "contacts", "signers"):
        yield from _backwards(rows[kind])


def _twice(rows: list[Row], field: str, what: str) -> Iterator[Fault]:
    """Codes that differ only in case count as one: nobody tells them apart on the telephone."""
    first: dict[str, Row] = {}
    for row in rows:
        code = row.text(field)
        before = first.setdefault(code.casefold(), row) if code else row
        if before is not row:
            place = f"{before.table.where}, dòng {before.number}"
            yield row.fault(
                field,
                f"{what} «{shown(code)}» đã có ở {place}",
                "bỏ dòng thừa, hoặc đặt mã khác (hoa thường như nhau)",
            )


def _spelt_otherwise(rows: list[Row], stored: set[str]) -> Iterator[Fault]:
    """Codes that are stored in another case, and would be taken in beside themselves."""
    spelt = {code.casefold(): code for code in stored}
    for row in rows:
        code = row.text("code")
        known = spelt.get(code.casefold(), code)
        if code not in stored and known != code:
            yield row.fault(
                "code",
                f"mã «{shown(code)}» trong danh bạ là «{known}»",
                "ghi mã như trong danh bạ, hoặc đặt mã khác (hoa thường như nhau)",
            )


def _same_mailbox(rows: list[Row]) -> Iterator[Fault]:
    first: dict[tuple[str, str, str], Row] = {}
    for row in rows:
        key = row.text("organisation"), row.text("email").casefold(), row.text("valid_from")
        if all(key[:2]) and (before := first.setdefault(key, row)) is not row:
            yield row.fault("email", f"hộp thư này đã có ở dòng {before.number}", "bỏ dòng thừa")


def _loops(rows: list[Row], stored: Register) -> Iterator[Fault]:
    """Each loop of parents once, at the row that comes first."""
    above = {one.code: one.parent or "" for one in stored.organisations}
    above |= {row.text("code"): row.text("parent") for row in rows if "parent" in row.asked}
    cleared: set[str] = set()
    for row in rows:
        path: list[str] = []
        code = row.text("code")
        while code and code not in cleared and code not in path:
            path.append(code)
            code = above.get(code, "")
        if code in path:
            loop = " → ".join([*path[path.index(code) :], code])
            yield row.fault(
                "parent",
                f"cấp trên đi vòng: {shown(loop, 200)}",
                "sửa cấp trên của một trong các tổ chức này",
            )
        cleared.update(path)


def _backwards(rows: list[Row]) -> Iterator[Fault]:
    for row in rows:
        start, end = row.text("valid_from"), row.text("valid_until")  # ISO dates compare as text
        if start and end and end < start:
            yield row.fault(
                "valid_until", f"kết thúc ({end}) trước khi bắt đầu ({start})", "sửa lại một trong hai ngày"
            )


def without_mailbox(register: Register) -> tuple[str, ...]:
    """Codes of the organisations that no mail can reach: accepted in a registry, refused on a ladder."""
    return tuple(one.code for one in register.organisations if not one.contacts)


def needs_smtputf8(register: Register) -> tuple[tuple[str, str], ...]:
    """(code, mailbox) of every address that only servers with SMTPUTF8 (RFC 6531) can carry."""
    return tuple(
        (one.code, contact.email)
        for one in register.organisations
        for contact in one.contacts
        if not contact.email.isascii()
    )
