"""In which order a transaction locks: what two acts at once rely on, watched where one alone plays a story."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Delete, Insert, Select, Update, event

from congvan.store.database import Store

#: As the ledger says. Cases belong to their delivery; those of a whole campaign are locked before it.
_ORDER = {"deliveries": 0, "hops": 1, "campaigns": 2, "letters": 3}
_BEFORE = {"cases": {"campaigns"}} | {
    name: {other for other, later in _ORDER.items() if later > place} for name, place in _ORDER.items()
}


def locked_in_order(store: Store) -> Store:
    """The same store, where a statement that would lock out of turn fails.

    `chasing` and `claiming` ask for no lock on SQLite, so what they choose is not seen, only what they change.
    """
    engine = store.engine.sync_engine

    @event.listens_for(engine, "before_execute")
    def look(connection: Any, statement: Any, *_: Any) -> None:
        held, made = connection.info.setdefault("locks", (set(), set()))
        if isinstance(statement, Insert):
            made.add(statement.table.name)  # a row that nobody else knows
            return
        for name in _locks(statement) - held - made:
            early = _BEFORE.get(name, set()) & held
            assert not early, f"{name} after {', '.join(sorted(early))}"
            held.add(name)

    for end in ("begin", "commit", "rollback"):
        event.listen(engine, end, lambda connection: connection.info.pop("locks", None))
    return store


def _locks(statement: Any) -> set[str]:
    if isinstance(statement, Update | Delete):
        return {statement.table.name}
    if isinstance(statement, Select) and statement._for_update_arg is not None:
        return {one.name for one in statement.get_final_froms() if hasattr(one, "name")}
    return set()
