"""Whoever changes the log by hand is found; what may be purged is purged, and the log verifies as before."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import func, select, text

from congvan.acts import audit, auditing, retention, seals
from congvan.clock import HandClock
from congvan.errors import NotFound
from congvan.house import House
from congvan.rules.protocol import Event, Fact
from congvan.rules.retention import Retention, months_before
from congvan.store.ledger import Entry, Ledger, chain_hash
from congvan.store.office import Entered
from congvan.store.tables import (
    Attempt,
    Campaign,
    Case,
    Delivery,
    EventRow,
    File,
    Incoming,
    Letter,
    Message,
    OrganisationRow,
    Request,
)
from tests.conftest import at
from tests.contract.test_store import NOW, _campaign, _delivery

WHO = {"answered_by": {"name": "Trần Thị Mẫu"}, "mailboxes": ["a@b.example", "hai@b.example"]}
CAMPAIGN, FIRST = "c" * 32, f"{0:032d}"


@pytest.fixture
async def town(placed: House) -> House:
    """A house on each database, with a campaign of three deliveries whose logs tell a whole story, sealed twice."""
    made, store = placed, placed.store
    async with store.act() as ledger:
        await _campaign(ledger)
        await ledger.add_all(Delivery, [_delivery(number, **WHO) for number in range(3)])
        await ledger.write(await ledger.take(Campaign, CAMPAIGN), NOW, Entry(Fact.LAUNCHED, {"recipients": 3}))
        for number in range(3):
            row = await ledger.take(Delivery, f"{number:032d}")
            created = Entry(Fact.CREATED, {"state": "QUEUED", "settles": "acknowledge"})
            await ledger.write(row, NOW, [created, Entry(Fact.OPENED, {"by": "A"}), Entry(Event.SENT)], state="SENT")
    assert await seals.seal_all(made) == 1
    async with store.act() as ledger:
        row = await ledger.take(Delivery, FIRST)
        await ledger.write(row, NOW + timedelta(days=3), Entry(Fact.REMINDED, {"step": "1-1"}), reminders=1)
    assert await seals.seal_all(made) == 1
    async with store.act() as ledger:
        row = await ledger.take(Delivery, FIRST)
        said = Entry(Event.ACKNOWLEDGED, {"note": "đã nhận"}, "recipient", "link")
        await ledger.write(row, NOW + timedelta(days=4), said, state="ACKNOWLEDGED")
    return made


async def _by_hand(house: House, *statements: str) -> None:
    async with house.store.engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))


async def test_a_log_that_nobody_touched_is_sound(town: House) -> None:
    verdict = await audit.audit(town, "C")
    assert verdict.findings == []
    assert (verdict.events, verdict.streams, verdict.seals, verdict.unsealed) == (12, 5, 2, 1)


async def test_nothing_is_sealed_twice(town: House) -> None:
    assert await seals.seal(town, "C") is not None
    assert await seals.seal(town, "C") is None
    assert await seals.seal_all(town) == 0


async def test_what_happens_while_it_is_sealed_is_in_the_next_seal(
    town: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    if town.store.is_sqlite:
        pytest.skip("one writes at a time")
    really, written = seals._heads, []

    async def meanwhile(ledger: Ledger, campaign_id: str) -> Any:
        found = await really(ledger, campaign_id)
        if not written:
            async with town.store.act() as other:
                written.append(await other.write(await other.take(Delivery, f"{1:032d}"), NOW, Entry(Fact.NOTED)))
        return found

    monkeypatch.setattr(seals, "_heads", meanwhile)
    assert [await seals.seal_all(town) for _ in range(3)] == [1, 1, 0]
    verdict = await audit.audit(town, "C")
    assert (verdict.findings, verdict.unsealed) == ([], 0)


HANDS: dict[str, tuple[list[str], tuple[str, int | None]]] = {
    "what an event says": (
        [f"UPDATE events SET data = '{{\"by\": \"B\"}}' WHERE stream = '{FIRST}' AND seq = 2"], ("C-0", 2),
    ),
    "when it happened": (
        [f"UPDATE events SET at = '2023-12-09 01:00:00' WHERE stream = '{FIRST}' AND seq = 5"], ("C-0", 5),
    ),
    "who did it": ([f"UPDATE events SET actor = 'engine' WHERE stream = '{FIRST}' AND seq = 5"], ("C-0", 5)),
    "the order of two": (
        [
            f"UPDATE events SET seq = 90 WHERE stream = '{FIRST}' AND seq = 2",
            f"UPDATE events SET seq = 2 WHERE stream = '{FIRST}' AND seq = 3",
            f"UPDATE events SET seq = 3 WHERE stream = '{FIRST}' AND seq = 90",
        ],
        ("C-0", 2),
    ),
    "one is deleted": ([f"DELETE FROM events WHERE stream = '{FIRST}' AND seq = 4"], ("C-0", 5)),
    "the last one is deleted": ([f"DELETE FROM events WHERE stream = '{FIRST}' AND seq = 5"], ("C-0", 4)),
    "the last one is deleted and the row set back": (
        [
            f"DELETE FROM events WHERE stream = '{FIRST}' AND seq >= 4",
            f"UPDATE deliveries SET event_seq = 3, state = 'SENT', reminders = 0, event_head = "
            f"(SELECT hash FROM events WHERE stream = '{FIRST}' AND seq = 3) WHERE id = '{FIRST}'",
        ],
        ("C-0", 4),
    ),
    "a state without an event": ([f"UPDATE deliveries SET state = 'COMPLETED' WHERE id = '{FIRST}'"], ("C-0", 5)),
    "a delivery is deleted": ([f"DELETE FROM deliveries WHERE id = '{2:032d}'"], (f"{2:032d}", 3)),
    "a seal is deleted": ([f"DELETE FROM seals WHERE campaign_id = '{CAMPAIGN}' AND seq = 1"], ("C", None)),
    "the last seal is deleted": ([f"DELETE FROM seals WHERE campaign_id = '{CAMPAIGN}' AND seq = 2"], ("C", None)),
    "a line of a seal": ([f"UPDATE seal_lines SET event_seq = 2 WHERE stream = '{FIRST}' AND seal = 1"], ("C", None)),
}  # fmt: skip


@pytest.mark.parametrize("hand", HANDS)
async def test_what_is_changed_by_hand_is_found(town: House, hand: str) -> None:
    statements, where = HANDS[hand]
    await _by_hand(town, *statements)
    found = (await audit.audit(town, "C")).findings
    assert where in {(one.where, one.event) for one in found}


async def _forge(house: House) -> None:
    """A forger who knows how the chain is made: another payload, and every hash after it anew."""
    async with house.store.act() as ledger:
        log: list[EventRow] = await ledger.all(
            select(EventRow).where(EventRow.stream == FIRST).order_by(EventRow.seq)
        )
        head = ""
        for one in log:
            data = {"by": "B"} if one.seq == 2 else one.data
            head = chain_hash(head, FIRST, one.seq, one.at, Entry(one.kind, data, one.actor, one.channel))
            await ledger.change(
                EventRow, EventRow.stream == FIRST, EventRow.seq == one.seq, data=data, hash=head
            )
        await ledger.change(Delivery, Delivery.id == FIRST, event_head=head)


async def test_a_chain_that_was_written_anew_differs_from_its_seal(town: House) -> None:
    await _forge(town)
    found = (await audit.audit(town, "C")).findings
    assert {(one.where, one.event) for one in found} == {("C-0", 3), ("C-0", 4)}, "the heads that were sealed"


async def test_seals_that_were_written_anew_differ_from_the_one_that_was_noted(town: House) -> None:
    noted = (await audit.audit(town, "C")).seal
    await _forge(town)
    await _by_hand(town, "DELETE FROM seal_lines", "DELETE FROM seals")
    await seals.seal(town, "C")
    assert (await audit.audit(town, "C")).findings == []
    assert [one.kind for one in (await audit.audit(town, "C", noted)).findings] == ["seal"]


async def test_the_auditor_asks_its_questions_of_both_databases(town: House) -> None:
    # These deliveries were made without a route and without mail, and their campaign without a plan.
    await _by_hand(town, "UPDATE campaigns SET held_at = '2023-12-01 01:00:00'")
    kinds = {flaw.kind for flaw in await auditing.look_over(town)}
    assert {"not on the route", "sent without a letter", "held by nobody"} <= kinds
    assert "log" not in kinds


async def test_the_export_holds_all_that_a_verifier_needs(town: House) -> None:
    lines = [orjson.loads(orjson.dumps(line)) async for line in audit.export(town, "C")]
    assert [one["record"] for one in lines] == ["campaign", *["event"] * 12, *["seal"] * 2]
    heads: dict[str, str] = {}
    for one in lines[1:13]:
        said = [heads.get(one["stream"], ""), one["stream"], one["seq"], one["at"], one["kind"], one["actor"],
                one["channel"], one["data"]]  # fmt: skip
        heads[one["stream"]] = one["hash"]
        assert hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest() == one["hash"]


async def test_a_view_sees_one_snapshot_while_others_write(town: House) -> None:
    async with town.store.view() as ledger:
        before = await ledger.count(select(EventRow))
        async with town.store.act() as other:
            await other.write(await other.take(Delivery, FIRST), NOW, Entry(Fact.NOTED))
        assert await ledger.count(select(EventRow)) == before


async def test_a_campaign_that_is_not_there_is_not_sound(town: House) -> None:
    with pytest.raises(NotFound):
        await audit.audit(town, "no such")


# ------------------------------------------------------------------------------------ retention


async def _with_mail(house: House) -> None:
    async with house.store.act() as ledger:
        sheet = await ledger.keep_file(b"table of a digest", "application/xlsx")
        letter = await ledger.keep_file(b"%PDF-1.7 letter", "application/pdf")
        for number, (kind, sha) in enumerate([("letter", letter), ("digest", sheet)]):
            await ledger.add(
                Message, id=f"m{number:031d}", campaign_id=CAMPAIGN, delivery_id=FIRST, recipient="R0", kind=kind,
                step="1", message_id=f"<{number}@x>", address="a@b.example", context={"name": "Mẫu"}, state="SENT",
                enclosures=[{"name": "f", "sha256": sha, "media_type": "x"}], not_before=NOW, give_up_at=NOW,
                created_at=NOW, reply="250 a@b",
            )  # fmt: skip
        await ledger.add(
            Attempt, message_id=f"m{0:031d}", ordinal=1, started_at=NOW, address="a@b.example", reply="250 a@b"
        )
        await ledger.add(
            Incoming, id="i" * 32, mailbox="m", uidvalidity=1, uid=1, kind="human", delivery_id=FIRST,
            sender="a@b.example", subject="re", text="chào", read_at=NOW,
        )  # fmt: skip
        await ledger.add(
            Incoming, id="j" * 32, mailbox="m", uidvalidity=1, uid=2, kind="human", sender="ai-do@b.example",
            text="không rõ về việc gì", read_at=NOW,
        )  # fmt: skip
        await ledger.add(
            Request, id="r" * 32, campaign_id=CAMPAIGN, delivery_id=FIRST, kind="contact",
            words={"email": "x@y.example"}, made_at=NOW,
        )  # fmt: skip
        contacts = [{"email": "cu@b.example", "valid_until": "2020-01-01"}, {"email": "a@b.example"}]
        await ledger.put(
            OrganisationRow, {"code": "R0"}, name="R", level="tenant", record={"contacts": contacts}, changed_at=NOW
        )
        row = await ledger.take(Campaign, CAMPAIGN)
        await ledger.write(row, NOW, Entry(Fact.CLOSED), state="CLOSED", closed_at=at("2023-12-20"), closed_by="A")


RULE = Retention(contacts_months=24, mail_months=24)


async def _whole(house: House) -> dict[str, Any]:
    """Every row of every table, as text."""
    found = {}
    async with house.store.view() as ledger:
        for table in (
            Delivery, Message, Attempt, Incoming, Request, OrganisationRow, File, EventRow, Campaign, Case,
        ):  # fmt: skip
            found[table.__tablename__] = [str(row) for row in await ledger.rows(select(table.__table__))]
    return found


async def test_after_its_time_no_mailbox_and_no_name_is_left_and_the_log_is_sound(town: House) -> None:
    await _with_mail(town)
    assert isinstance(town.clock, HandClock)
    town.clock.set(at("2025-12-20"))
    done = await retention.purge(town, RULE, "Văn thư")
    assert [one.campaign for one in done] == ["C", "", ""]
    whole = str(await _whole(town))
    for personal in ("@b.example", "x@y", "Trần Thị Mẫu", "chào", "table of a digest", "250 a@b", "Mẫu", "không rõ"):
        assert personal not in whole.replace("a@b.example'}]", ""), personal
    assert "%PDF-1.7 letter" in whole, "what was issued stays"
    assert (await audit.audit(town, "C")).findings == []
    async with town.store.view() as ledger:
        rows = [await ledger.count(select(table)) for table in (Delivery, Message, Attempt, Incoming, Request)]
    assert rows == [3, 2, 1, 2, 1], "no row of a register is deleted"
    assert await retention.purge(town, RULE, "Văn thư") == []


async def test_where_contacts_go_before_words_none_is_left_in_notes_digests_senders_and_answers_of_servers(
    town: House,
) -> None:
    await _with_mail(town)
    async with town.store.act() as ledger:
        await ledger.change(Message, Message.kind == "digest", context={"rows": ["hai@b.example, 0903 000 111"]})
        await ledger.change(Incoming, diagnostic="550 5.1.1 <a@b.example> unknown")
        await ledger.add(
            Case, id="k" * 32, delivery_id=FIRST, campaign_id=CAMPAIGN, kind="silent", opened_at=NOW,
            notes=[{"at": "", "by": "Lan", "note": "gọi 0903 000 222"}],
        )  # fmt: skip
        await ledger.add(
            Message, id="o" * 32, recipient="R0", kind="mail", step="1", message_id="<o@x>", address="ba@b.example",
            context={}, state="SENT", enclosures=[], not_before=NOW, give_up_at=NOW, created_at=NOW,
        )  # fmt: skip
    assert isinstance(town.clock, HandClock)
    town.clock.set(at("2025-12-20"))
    rule = Retention(contacts_months=24)
    counted = await retention.purge(town, rule, "Văn thư", dry_run=True)
    assert await retention.purge(town, rule, "Văn thư") == counted
    whole = str(await _whole(town)).replace("a@b.example'}]", "")
    for personal in ("@b.example", "0903", "250 a@b", "table of a digest"):
        assert personal not in whole, personal
    assert "chào" in whole, "the words stay as long as the other line says"
    assert await retention.purge(town, rule, "Văn thư") == []
    assert (await audit.audit(town, "C")).findings == []
    await retention.purge(town, RULE, "Văn thư")
    assert "chào" not in str(await _whole(town))


async def test_a_dry_run_counts_and_changes_nothing(town: House) -> None:
    await _with_mail(town)
    assert isinstance(town.clock, HandClock)
    town.clock.set(at("2025-12-20"))
    before = await _whole(town)
    counted = await retention.purge(town, RULE, "Văn thư", dry_run=True)
    assert await _whole(town) == before
    assert counted == await retention.purge(town, RULE, "Văn thư")


async def test_the_draft_that_a_digest_enclosed_is_the_file_of_a_letter_and_stays(town: House) -> None:
    await _with_mail(town)
    async with town.store.act() as ledger:
        table, draft, signed = [await ledger.keep_file(one, "x") for one in (b"table of a digest", b"draft", b"signed")]
        await ledger.add(
            Letter, id="l" * 32, campaign_id=CAMPAIGN, kind="urge", issuer="A", state="CANCELLED", subject="s",
            sheet={}, html="", sha256=draft, created_at=NOW,
        )  # fmt: skip
        await ledger.add(
            Entered, letter_id="l" * 32, number="1", day=NOW.date(), sha256=signed, differences=[], entered_by="A",
            entered_at=NOW,
        )  # fmt: skip
        enclosed = [{"name": "f", "sha256": sha, "media_type": "x"} for sha in (table, draft, signed)]
        await ledger.change(Message, Message.kind == "digest", enclosures=enclosed)
    assert isinstance(town.clock, HandClock)
    town.clock.set(at("2025-12-20"))
    counted = await retention.purge(town, RULE, "Văn thư", dry_run=True)
    assert await retention.purge(town, RULE, "Văn thư") == counted
    async with town.store.view() as ledger:
        assert set(await ledger.all(select(File.data))) == {b"draft", b"signed", b"%PDF-1.7 letter"}


async def test_a_correction_of_the_book_that_is_made_meanwhile_stays(town: House) -> None:
    if town.store.is_sqlite:
        pytest.skip("one writes at a time")
    await _with_mail(town)
    assert isinstance(town.clock, HandClock)
    town.clock.set(at("2025-12-20"))
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    async with town.store.act() as ledger:
        row = await ledger.take(OrganisationRow, "R0")
        new = row.record | {"contacts": [*row.record["contacts"], {"email": "moi@b.example"}]}
        await ledger.change(OrganisationRow, OrganisationRow.code == "R0", record=new)
        purging = asyncio.create_task(retention.purge(town, RULE, "Văn thư"))
        while not await ledger.session.scalar(waiting):
            assert not purging.done()
            await asyncio.sleep(0.02)
    await purging
    async with town.store.view() as ledger:
        kept = (await ledger.get(OrganisationRow, "R0")).record["contacts"]
    assert [one["email"] for one in kept] == ["a@b.example", "moi@b.example"]


@pytest.mark.parametrize("rule", [Retention(), Retention(contacts_months=25, mail_months=25)])
async def test_before_its_time_and_without_a_rule_everything_is_kept(town: House, rule: Retention) -> None:
    await _with_mail(town)
    assert isinstance(town.clock, HandClock)
    town.clock.set(at("2025-12-20"))
    assert [one for one in await retention.purge(town, rule, "Văn thư") if one.campaign] == []
    async with town.store.view() as ledger:
        assert await ledger.first(select(func.count()).select_from(Message).where(Message.address == "")) == 0


def test_months_end_on_the_last_day_of_a_shorter_month() -> None:
    assert months_before(at("2024-03-31"), 1) == at("2024-02-29")
    assert months_before(at("2024-01-15"), 13) == at("2022-12-15")


def test_the_shipped_rules_can_be_read(house: House) -> None:
    assert retention.rules(house) == Retention(contacts_months=24, mail_months=24)
