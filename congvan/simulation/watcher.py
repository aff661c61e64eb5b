"""After each step: the invariants on the rows that it touched. At each day's end: all of them, on all rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import datetime

import orjson

from congvan.errors import ImpossibleMove
from congvan.rules.protocol import Event, State, advance
from congvan.simulation import touching, whole
from congvan.simulation.inline import Disk
from congvan.simulation.look import rows, some
from congvan.simulation.memory import Chain, Memory, Seen, delivery_row
from congvan.simulation.scheduler import Broken
from congvan.store.ledger import Entry, chain_hash

#: Tables of which each step's new rows are read, by rowid.
_NEW = {
    "events": "select rowid, * from events where rowid > ? order by rowid",
    "messages": "select rowid, * from messages where rowid > ? order by rowid",
    # With all that is asked of an attempt: a question for each of thousands took longer than what is looked at.
    "attempts": "select a.rowid, a.message_id, a.ordinal, a.started_at, m.kind, m.message_id name, m.not_before,"
    " m.urgent, c.code campaign, c.held_at, d.code, d.state, d.settles"
    " from attempts a join messages m on m.id = a.message_id"
    " left join campaigns c on c.id = m.campaign_id left join deliveries d on d.id = m.delivery_id"
    " where a.rowid > ? order by a.rowid",
    "digests": "select rowid, * from digests where rowid > ? order by rowid",
}
#: Where each of them ends: of a step most have nothing new.
_ENDS = "select " + ", ".join(f"(select max(rowid) from {table})" for table in _NEW)
#: Days after which every log is read from its first line again.
_WEEK = 7
_MOVES = {event.value for event in Event}


class Watcher:
    """Follows the database from outside. now: the world's time; tell: takes what a step wrote, in words."""

    def __init__(self, memory: Memory, now: Callable[[], datetime], tell: Callable[[str], None]) -> None:
        self.memory, self.now, self.tell = memory, now, tell
        self.seen = dict.fromkeys(_NEW, 0)
        self._days = 0
        self._commits = 0

    @property
    def disk(self) -> Disk:
        """The database."""
        return self.memory.disk

    def after_step(self, _label: str) -> None:
        """Every check that one step can break."""
        ends = zip(_NEW, self.disk.look(_ENDS)[0], strict=True)
        new = {table: self._new(table) if (end or 0) > self.seen[table] else [] for table, end in ends}
        touched: dict[str, None] = {}
        self._say(new)
        for event in new["events"]:
            self._chain(event)
            touched[event["stream"]] = None
        for event in new["events"]:
            touching.event(self.memory, event)
        for message in new["messages"]:
            touching.message(self.memory, message)
        for attempt in new["attempts"]:
            touching.attempt(self.memory, attempt)
        for digest in new["digests"]:
            touching.digest(self.memory, digest)
        for stream in touched:
            self._row(stream)

    def _say(self, new: dict[str, list[sqlite3.Row]]) -> None:
        said = [f"{event['kind']}@{event['stream'][-6:]}" for event in new["events"]]
        said += [f"wants {one['kind']} {one['step'][-8:]}@{(one['delivery_id'] or '')[-6:]}" for one in new["messages"]]
        said += [f"claims {one['message_id'][-6:]}" for one in new["attempts"]]
        if said:
            self.tell(", ".join(said[:12]) + (f" and {len(said) - 12} more" if len(said) > 12 else ""))

    def _new(self, table: str) -> list[sqlite3.Row]:
        found = rows(self.disk, _NEW[table], self.seen[table])
        if found:
            self.seen[table] = found[-1]["rowid"]
        return found

    def _chain(self, event: sqlite3.Row) -> None:
        chain = self.memory.chains.setdefault(event["stream"], Chain())
        replay(chain, event)
        self.memory.checks += 2

    def _row(self, stream: str) -> None:
        """The row of a stream says what its log says."""
        chain = self.memory.chains[stream]
        for table in ("deliveries", "hops", "campaigns"):
            found = rows(self.disk, f"select * from {table} where id = ?", stream)
            if found:
                break
        if found[0]["event_seq"] != chain.seq or found[0]["event_head"] != chain.head:
            raise Broken(f"the head of {table} {stream} is not the last event of its log")
        self.memory.checks += 1
        if table == "deliveries":
            delivery = delivery_row(self.disk, stream)
            touching.delivery(self.memory, delivery, chain)
            due = some(delivery["due_at"]) if delivery["due_at"] else None
            self.memory.deliveries[stream] = Seen(delivery["state"], due)

    def day_end(self) -> None:
        """Everything, on all rows, where anything was written since; each week every log from its first line."""
        self._days += 1
        if self.disk.commits == self._commits and self._days % _WEEK:
            return
        self._commits = self.disk.commits
        if self._days % _WEEK == 0:
            self._replay_all()
        else:
            self._compare(self.memory.chains)
        for check in whole.EVERY_DAY:
            check(self.memory, self.now())
            self.memory.checks += 1

    def at_the_end(self) -> None:
        """Everything once more, each log from its first line."""
        self._days = -1
        self.day_end()

    def _replay_all(self) -> None:
        chains: dict[str, Chain] = {}
        for event in rows(self.disk, "select * from events order by stream, seq"):
            replay(chains.setdefault(event["stream"], Chain()), event)
            self.memory.checks += 1
        self._compare(chains)

    def _compare(self, chains: dict[str, Chain]) -> None:
        for delivery in rows(self.disk, "select id, state, event_head from deliveries"):
            chain = chains[delivery["id"]]
            if (chain.state, chain.head) != (delivery["state"], delivery["event_head"]):
                raise Broken(
                    f"the log of delivery {delivery['id']} ends in {chain.state}, its row in {delivery['state']}"
                )
            self.memory.checks += 1


def replay(chain: Chain, event: sqlite3.Row) -> None:
    """Put one more event on a chain; raise Broken where it does not follow."""
    data = orjson.loads(event["data"])
    entry = Entry(event["kind"], data, event["actor"], event["channel"])
    expected = chain_hash(chain.head, event["stream"], chain.seq + 1, some(event["at"]), entry)
    if event["seq"] != chain.seq + 1 or event["hash"] != expected:
        raise Broken(f"event {event['seq']} of {event['stream']} does not follow its log")
    chain.seq, chain.head = event["seq"], event["hash"]
    chain.kinds.append(event["kind"])
    if event["kind"] == "created":
        chain.state = data["state"]
    elif chain.state is not None and event["kind"] in _MOVES:
        try:
            chain.state = advance(State(chain.state), Event(event["kind"])).value
        except ImpossibleMove as error:
            raise Broken(f"the log of {event['stream']} cannot be replayed: {error}") from error
