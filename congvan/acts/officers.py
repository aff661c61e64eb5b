"""Who did something, as people read of it: the log keeps the names of accounts, a reader wants those of persons."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select

from congvan.store.accounts import Operator
from congvan.store.ledger import Ledger


class _Names(dict[str, str]):
    """Full names by the names of accounts. What is no account's was typed as it is."""

    def __missing__(self, name: str) -> str:
        return name


async def full_names(ledger: Ledger) -> Mapping[str, str]:
    """{name of an account: full name}, those that are disabled too; any other name gives itself."""
    rows = await ledger.rows(select(Operator.name, Operator.full_name))
    return _Names({row.name: row.full_name or row.name for row in rows})
