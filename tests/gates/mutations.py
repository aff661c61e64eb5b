# ruff: noqa: E501 - what is replaced stands here as it is written there
"""Faults planted one at a time, each of which the tests or the simulator have to find.

Run: python -m tests.gates.mutations [--only WORD]
Every fault is planted in a copy of the tree; its tests run there, and one of them must fail. A test that is cut off
after its time has found nothing: who runs the tests would see a hang, and no sentence of what is wrong. Ends with 1
where one fault survives, cannot be planted any more, or was met by nothing but a hang.
"""

from __future__ import annotations

import argparse
import compileall
import os
import py_compile
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_PARTS = ("congvan", "flows", "tasks", "templates", "config", "tests", "bench", "docs")
_PATIENCE_S = 600
_STORIES = "tests/protocol/test_stories_"
_STORE, _STAGES = "tests/contract/test_store.py", "tests/contract/test_outbox_stages.py"
_OUTBOX, _LINKS, _TIMES = "tests/protocol/test_outbox.py", "tests/protocol/test_links.py", "tests/protocol/test_deadlines.py"
_SIMULATOR = "tests/protocol/test_simulator.py"


@dataclass(frozen=True, slots=True)
class Fault:
    """old → new in one file. tests: where it is expected to be found, quickest first."""

    what: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def _fault(what: str, file: str, old: str, new: str, *tests: str) -> Fault:
    return Fault(what, f"congvan/{file}", old, new, tests)


FAULTS = (
    # ------------------------------------------------------------------------ rules
    _fault("the day of the event is counted", "rules/calendar.py", "            day += step\n            idle += 1\n",
           "            idle += 1\n            day += step if idle > 1 else 0 * step\n", "tests/protocol/test_calendar.py"),
    _fault("a term that ends on a day off ends there", "rules/calendar.py",
           "return self.named(name).on_or_after(counted)", "return counted", "tests/protocol/test_calendar.py"),
    _fault("the quiet window is forgotten", "rules/calendar.py", "while not first_letter and self.is_quiet(day):",
           "while False:", "tests/protocol/test_calendar.py", _TIMES),
    _fault("escalation a day early", "rules/deadlines.py",
           "limit = after(due, policy.grace_working_days, policy.grace_hours, calendars)",
           "limit = after(due, max(0, policy.grace_working_days - 1), policy.grace_hours, calendars)", _TIMES),
    _fault("a reminder that was missed is never sent", "rules/deadlines.py", "return max(live) + 1 if live else taken",
           "return taken", _TIMES),
    _fault("whoever is reached late gets no time of his own", "rules/deadlines.py",
           "return max(printed, due_at(least, now, calendars))", "return printed", _TIMES),
    _fault("a settled delivery is still reminded", "rules/deadlines.py",
           "if settled(standing.state, standing.settles) or standing.state in (State.REJECTED, State.UNDELIVERABLE):",
           "if standing.state in (State.REJECTED, State.UNDELIVERABLE):", _TIMES),
    _fault("an acknowledgement settles whoever has to pass on", "rules/protocol.py",
           "Settles.FORWARD: frozenset({State.FORWARDED, State.COMPLETED}),",
           "Settles.FORWARD: frozenset(_ORDER),", "tests/protocol/test_protocol.py"),
    _fault("a bounce takes a confirmation back", "rules/protocol.py",
           "(_S.SENT, _E.ARRIVED): _S.DELIVERED,",
           "(_S.SENT, _E.ARRIVED): _S.DELIVERED, (_S.ACKNOWLEDGED, _E.REFUSED): _S.UNDELIVERABLE,",
           "tests/protocol/test_protocol.py"),
    # ------------------------------------------------------------------------ hops
    _fault("a hop's lease is not looked at", "acts/hops.py",
           "or_(hop.c.lease_until.is_(None), hop.c.lease_until < bindparam(\"wall\"))", "hop.c.turns >= 0", f"{_STORIES}kills.py",
           "tests/protocol/test_stories_passing_on.py", _SIMULATOR),
    _fault("a wake that comes during a turn is overwritten", "acts/hops.py",
           "return _of_lease().where(hop.c.wake_seq == bindparam(\"seen\")).values(",
           "return _of_lease().values(", f"{_STORIES}kills.py", f"{_STORIES}answers.py", _SIMULATOR),
    _fault("a hop opens a second time", "acts/opening.py", "        if hop.opened_at is not None:\n            return\n", "",
           f"{_STORIES}kills.py", f"{_STORIES}passing_on.py", _SIMULATOR),
    _fault("a second way brings a second letter", "acts/opening.py",
           "if delivery.due_at is not None or settled(State(delivery.state), Settles(delivery.settles)):",
           "if settled(State(delivery.state), Settles(delivery.settles)):", f"{_STORIES}passing_on.py", _SIMULATOR),
    _fault("the hop below opens without the company's act", "acts/releasing.py",
           "if may(past_due=parent.due_at is not None and now >= parent.due_at):", "if True:",
           f"{_STORIES}passing_on.py", _SIMULATOR),
    _fault("whoever has no mailbox is waited for", "acts/opening.py",
           "values |= {\"state\": advance(State.QUEUED, Event.REFUSED), \"wake_at\": None}",
           "values |= {\"wake_at\": None}", f"{_STORIES}mailboxes.py",
           f"{_STORIES}silence.py", _SIMULATOR),
    # ------------------------------------------------------------------------ answers
    _fault("a withdrawn link still answers", "acts/confirmations.py",
           "if link is not None and link.version != delivery.link_version:", "if False:", f"{_STORIES}answers.py",
           "tests/portal/test_attacks.py"),
    _fault("an answer pressed twice is written twice", "acts/confirmations.py",
           "if says_nothing_new(state, said.event):\n            return receipt(delivery, now, again=True)\n", "if False:\n            pass\n",
           f"{_STORIES}answers.py"),
    _fault("a link that has expired is read", "links.py", "if link.expires < now:", "if False:", _LINKS),
    # ------------------------------------------------------------------------ the outbox
    _fault("mail of a held campaign leaves", "acts/mails.py",
           "return or_(Message.campaign_id.is_(None), Message.campaign_id.not_in(held), Message.kind.in_(WHILE_HELD))",
           "return or_(Message.campaign_id.is_(None), Message.campaign_id.in_(held), Message.campaign_id.not_in(held))",
           _STAGES, f"{_STORIES}changes.py"),
    _fault("a reminder crosses a confirmation", "acts/claiming.py",
           "        if _pointless(work):", "        if False:", _OUTBOX, f"{_STORIES}answers.py", _SIMULATOR),
    _fault("an abandoned claim is never taken over", "acts/claiming.py",
           "abandoned = (Message.state == \"CLAIMED\") & (Message.lease_until < bindparam(\"wall\"))",
           "abandoned = (Message.state == \"CLAIMED\") & Message.lease_until.is_(None)", _OUTBOX, f"{_STORIES}kills.py"),
    _fault("a repeat has another Message-ID", "acts/mails.py",
           "\"message_id\": message_id(mail.delivery_id or key, mail.kind, mail.step, domain),",
           "\"message_id\": message_id(key, mail.kind, mail.step, domain),", _OUTBOX, _STAGES,
           f"{_STORIES}answers.py", "tests/contract/test_inbox.py", _SIMULATOR),
    _fault("a lost reply counts as sent", "acts/judging.py", "if self.verdict == \"accepted\":\n            return row",
           "if self.verdict in (\"accepted\", \"unknown\"):\n            return row", _OUTBOX, _STAGES),
    _fault("a refusal opens no case", "acts/outcomes.py",
           "            if any(entry.kind == Event.REFUSED for entry in entries):", "            if False:", _OUTBOX,
           f"{_STORIES}silence.py", f"{_STORIES}mailboxes.py"),
    _fault("the wait after a refusal does not grow", "acts/judging.py",
           "min(_FIRST_WAIT * (1 << min(attempt - 1, 10)), _LONGEST_WAIT)", "_FIRST_WAIT", _OUTBOX, _STAGES),
    _fault("a restored database sends", "acts/reconciling.py",
           "        log.error(\"this database is older", "        return True\n        log.error(\"this database is older", _STAGES),
    _fault("a header may be broken out of", "mail/headers.py", "    if _CONTROL.search(text):", "    if False:",
           "tests/contract/test_mail_message.py"),
    # ------------------------------------------------------------------------ the store
    _fault("the first writer is overwritten", "store/ledger.py",
           "return _changing(table, names).where(table.__table__.c.event_seq == bindparam(\"read_seq\"))",
           "return _changing(table, names).where(bindparam(\"read_seq\") >= 0)", _STORE),
    _fault("the chain leaves out who did it", "store/ledger.py",
           "entry.kind, entry.actor, entry.channel, entry.data]", "entry.kind, entry.channel, entry.data]",
           _STORE, "tests/contract/test_audit.py", "tests/contract/test_operations.py"),
    _fault("whoever works through batches keeps out whoever answers", "store/queueing.py", "while self._bell.rings():",
           "while False:", "tests/contract/test_queueing.py"),
    _fault("an act's transaction is not immediate", "store/database.py",
           "if immediate and self.is_sqlite:", "if False:", _STORE),
    # ------------------------------------------------------------------------ numbers, letters
    _fault("the year of a number turns at midnight UTC", "acts/numbers.py", "local(day_or_instant).year", "day_or_instant.year",
           "tests/contract/test_numbering.py"),
    _fault("a signed file may differ from its draft", "acts/signed_files.py",
           "faults += [_fault(one) for one in found if one.fatal or not accepted]", "", "tests/protocol/test_issue.py"),
    _fault("a file without a signature is issued", "acts/signed_files.py",
           "if not file.signatures and not entered.paper_scan:", "if False:", "tests/protocol/test_issue.py"),
)  # fmt: skip


def _copied(folder: Path) -> Path:
    for part in _PARTS:
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "prefect.yaml"):
        shutil.copy(ROOT / name, folder / name)
    if (ROOT / "deploy").is_dir():
        shutil.copytree(ROOT / "deploy", folder / "deploy")
    # Byte code that is compared with its source by content: a fault may keep the file's length and its second.
    compileall.compile_dir(folder, quiet=1, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH, workers=1)
    return folder


def judged(fault: Fault, tree: Path, patience_s: float = _PATIENCE_S) -> tuple[str, str]:
    """What became of a fault, and where: `killed` by a test that failed, `SURVIVED` all of them, `NO END` where it made
    one hang and no other failed, `NOT PLANTED` where the file has changed, or its tests cannot be run."""
    path = tree / fault.file
    sound = path.read_text("utf-8") if path.exists() else ""
    if fault.old not in sound or fault.old == fault.new:
        return "NOT PLANTED", "the file does not hold what it changes"
    path.write_text(sound.replace(fault.old, fault.new), "utf-8")
    hung = ""
    try:
        for test in fault.tests:
            status, said = _ran(test, tree, patience_s)
            if status == 1:
                return "killed", test
            if status is None:
                hung = test
            elif status:
                return "NOT PLANTED", f"{test} cannot be run: {said}"
    finally:
        path.write_text(sound, "utf-8")
    return ("NO END", f"{hung}, cut off after {patience_s:.0f} s") if hung else ("SURVIVED", "")


def _ran(test: str, tree: Path, patience_s: float) -> tuple[int | None, str]:
    """How the tests of a file ended, and their last words; None: they did not, and were killed with all they began."""
    # Asserts that explain themselves would be made anew for each fault, and nobody reads them.
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--assert=plain", test]
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    with tempfile.TemporaryFile() as told:
        running = subprocess.Popen(
            command, cwd=tree, env=environment, stdout=told, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            status: int | None = running.wait(patience_s)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
            status = None
        told.seek(0)
        return status, told.read().decode(errors="replace")[-400:]


def main() -> int:
    """Plant every fault; 1 where one survives."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--only", default="", help="faults whose description holds this word")
    chosen = [fault for fault in FAULTS if options.parse_args().only in fault.what]
    ends: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="congvan-mutations-") as folder:
        tree = _copied(Path(folder))
        for fault in chosen:
            begun = time.monotonic()
            end, where = judged(fault, tree)
            ends[end] += 1
            print(f"{end:11} {fault.what}  [{fault.file}] {where} ({time.monotonic() - begun:.0f} s)", flush=True)
    print(f"{ends['killed']} of {len(chosen)} killed" + "".join(f", {end} {n}" for end, n in ends.items() if end != "killed"))
    return 0 if chosen and ends["killed"] == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
