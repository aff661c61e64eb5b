"""The outbox under way: stages beside each other, kills, brakes, a restored copy, exercises, signatures."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import dkim
import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy import select, update

from bench.kill import Trial, survive
from bench.outbox_world import fill
from congvan.acts import campaigns, outbox, reconciling, recovering
from congvan.acts.judging import wait_before, wait_while_shut
from congvan.clock import HandClock
from congvan.errors import ActRefused, NothingInstalled
from congvan.house import House
from congvan.mail import dots as dots_module
from congvan.mail import mtalog
from congvan.mail.journal import Journal
from congvan.mail.outgoing import Outcome, Outgoing
from congvan.mail.sender import Sender, SmtpUrl
from congvan.mail.sink import Sink
from congvan.mail.wire import WireLost
from congvan.portal.app import app
from congvan.store.database import Store
from congvan.store.ledger import Ledger
from congvan.store.tables import Attempt, Campaign, Delivery, EventRow, Hop, Message
from tests.conftest import Postbox


async def messages(house: House) -> list[Message]:
    async with house.store.view() as ledger:
        return await ledger.all(select(Message).order_by(Message.id))


async def attempts(house: House) -> list[Attempt]:
    async with house.store.view() as ledger:
        return await ledger.all(select(Attempt).order_by(Attempt.message_id))


async def states(house: House) -> Counter[str]:
    return Counter(one.state for one in await messages(house))


def set_house(house: House, **chosen: object) -> House:
    """The house with other settings."""
    house.settings = house.settings.model_copy(update=chosen)
    return house


# ------------------------------------------------------------------------------------ batches


async def test_every_letter_of_many_batches_leaves_once_and_is_written_down(house: House, postbox: Postbox) -> None:
    hop_id = await fill(house, 1_100)
    assert await outbox.dispatch(house, postbox, hop_id) == {"accepted": 1_100}
    assert set(postbox.ids().values()) == {1}
    assert await states(house) == {"SENT": 1_100}
    async with house.store.view() as ledger:
        kinds = Counter(await ledger.all(select(EventRow.kind).where(EventRow.kind == "sent")))
        assert kinds == {"sent": 1_100}
        assert set(await ledger.all(select(Delivery.state))) == {"SENT"}
    assert {(one.ordinal, one.outcome) for one in await attempts(house)} == {(1, "accepted")}


async def test_a_second_sender_takes_the_letters_behind_those_that_the_first_is_taking(on_postgresql: House) -> None:
    """On PostgreSQL two claims run at once; SQLite lets one in after the other."""
    house = on_postgresql
    hop_id = await fill(house, 30)

    class Meanwhile:
        taken: Sequence[outbox.Work] = ()

        async def passes(self, _ledger: Ledger) -> bool:
            return True

        async def raised(self, _ledger: Ledger) -> None:
            self.taken = await outbox.claim(house, hop_id, 20)

    meanwhile = Meanwhile()
    first = await outbox.claim(house, hop_id, 20, meanwhile)
    assert (len(first), len(meanwhile.taken)) == (20, 10)
    assert not {work.message.id for work in first} & {work.message.id for work in meanwhile.taken}


async def test_a_round_begins_with_few_letters(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = _watched(monkeypatch)
    tally = await outbox.dispatch(house, Postbox(), await fill(house, 1_000))
    assert tally["accepted"] == 1_000
    assert sizes == [100, 200, 400, 300, 0]


async def test_while_somebody_waits_for_each_batch_they_are_smaller(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    hop_id, sizes = await fill(house, 350), _watched(monkeypatch)
    monkeypatch.setattr(Store, "pressed", True)
    tally = await outbox.dispatch(house, Postbox(), hop_id)
    assert tally["accepted"] == 350
    assert sizes == [100, 100, 100, 50, 0]


def _watched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many letters each claim took."""
    sizes, claim = list[int](), outbox.claim

    async def watched(*given: Any) -> list[outbox.Work]:
        works = await claim(*given)
        sizes.append(len(works))
        return works

    monkeypatch.setattr(outbox, "claim", watched)
    return sizes


async def test_the_next_batch_is_under_way_before_the_one_before_it_is_over(house: House) -> None:
    class Slow(Postbox):
        under_way = most = 0
        second = asyncio.Event()

        async def send(self, batch: Iterable[Outgoing]):  # type: ignore[no-untyped-def,override]
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            if self.under_way == 2:
                self.second.set()
            await self.second.wait()
            async for outcome in super().send(batch):
                yield outcome
            self.under_way -= 1

    carrier = Slow()
    await outbox.dispatch(house, carrier, await fill(house, 600))
    assert carrier.most >= 2


async def test_a_fault_in_one_batch_is_told_and_leaves_the_journal_behind(house: House, postbox: Postbox) -> None:
    hop_id = await fill(house, 3)

    def breaks(item: Outgoing) -> Outcome | None:
        assert item.witness is not None
        item.witness.handing_over(item.key)
        if len(postbox.taken) == 1:
            raise OSError("the disk is gone")
        item.witness.ended(Outcome(item.key, "accepted", 250, "2.0.0 Ok"))
        return None

    postbox.says = breaks
    with pytest.raises(OSError, match="disk"):
        await outbox.dispatch(house, postbox, hop_id)
    postbox.says = lambda item: None
    # What had ended is known, what had begun is sent again as the same message, the rest was never begun.
    assert await outbox.dispatch(house, postbox, hop_id) == {"accepted": 2}
    assert sorted(postbox.ids().values()) == [1, 1, 1]
    assert sorted((one.state, one.attempts, one.unknown) for one in await messages(house)) == [
        ("SENT", 1, 0), ("SENT", 1, 0), ("SENT", 2, 1),
    ]  # fmt: skip


# ------------------------------------------------------------------------------------ not now


async def test_what_a_pressed_server_never_looked_at_is_put_back_unharmed(house: House, postbox: Postbox) -> None:
    hop_id = await fill(house, 3)
    postbox.says = lambda item: Outcome(item.key, "unavailable", None, "held back: the server asked for time", True)
    assert await outbox.dispatch(house, postbox, hop_id) == {"unavailable": 3}
    assert await attempts(house) == []
    now = await house.clock.now()
    for one in await messages(house):
        assert (one.state, one.attempts) == ("QUEUED", 0)
        assert timedelta(seconds=40) < one.not_before - now < timedelta(minutes=2)
    async with house.store.view() as ledger:
        assert not await ledger.all(select(EventRow.seq).where(EventRow.kind == "delayed"))


async def test_a_shut_way_ends_the_round_for_all_that_wait_behind(house: House, postbox: Postbox) -> None:
    hop_id = await fill(house, 900)
    asked = 0

    def shut(item: Outgoing) -> Outcome:
        nonlocal asked
        asked += 1
        return Outcome(item.key, "unavailable", None, "no connection", True)

    postbox.says = shut
    await outbox.dispatch(house, postbox, hop_id)
    assert asked <= 3 * outbox.BATCH
    now = await house.clock.now()
    assert all(one.not_before > now for one in await messages(house))


async def test_pauses_double_are_scattered_and_end(house: House, postbox: Postbox, clock: HandClock) -> None:
    plain = [wait_before(number) for number in range(1, 12)]
    assert plain[:4] == [timedelta(minutes=n) for n in (1, 2, 4, 8)]
    assert plain[-1] == timedelta(hours=4)
    scattered = {wait_before(5, house.random) for _ in range(50)}
    assert len(scattered) > 40
    assert all(timedelta(minutes=12) <= wait <= timedelta(minutes=20) for wait in scattered)
    await fill(house, 1)
    (message,) = await messages(house)
    assert wait_while_shut(message.give_up_at, message.not_before) == timedelta(minutes=1)
    assert wait_while_shut(message.give_up_at, message.not_before + timedelta(minutes=20)) == timedelta(minutes=10)
    assert wait_while_shut(message.give_up_at, message.not_before + timedelta(days=1)) == timedelta(minutes=30)
    postbox.says = lambda item: Outcome(item.key, "unavailable", 451, "4.3.0 later")
    for _ in range(200):
        (message,) = await messages(house)
        if message.state == "REFUSED":
            break
        clock.set(max(message.not_before, await clock.now()))
        await outbox.dispatch(house, postbox, message.hop_id)
    assert message.state == "REFUSED"
    assert 10 < message.attempts < 40
    async with house.store.view() as ledger:
        assert (await ledger.first(select(Delivery))).state == "UNDELIVERABLE"


async def test_an_address_that_is_none_refuses_its_own_letter_only(house: House, postbox: Postbox) -> None:
    hop_id = await fill(house, 3)
    (first, *_) = await messages(house)
    async with house.store.act() as ledger:
        await ledger.change(Message, Message.id == first.id, address="không phải địa chỉ")
    async with Sink() as sink:
        sender = Sender(SmtpUrl("127.0.0.1", sink.port, "none"))
        house = set_house(house, exercise_mailbox="")
        async with house.store.act() as ledger:
            await ledger.change(Campaign, mode="live")
        assert await outbox.dispatch(house, sender, hop_id) == {"accepted": 2, "refused": 1}
        await sender.aclose()


async def test_a_dispatch_that_is_told_to_stop_hears_the_server_out_and_sends_nothing_twice(house: House) -> None:
    hop_id = await fill(house, 3)
    reached, go_on = asyncio.Event(), asyncio.Event()
    taken: list[str] = []

    async def slowly(_from: str, to: tuple[str, ...], _data: bytes) -> None:
        taken.extend(to)
        reached.set()
        await go_on.wait()

    async with Sink(slowly) as sink:
        sender = Sender(SmtpUrl("127.0.0.1", sink.port, "none"), connections=1)
        dispatching = asyncio.create_task(outbox.dispatch(house, sender, hop_id))
        await reached.wait()
        dispatching.cancel()
        assert await asyncio.wait([dispatching], timeout=0.3) == (set(), {dispatching}), "it waits for the reply"
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await dispatching
        assert await outbox.dispatch(house, sender, hop_id) == {"accepted": 2}
        await sender.aclose()
    assert len(taken) == len(set(taken)) == 3
    assert {(one.state, one.unknown) for one in await messages(house)} == {("SENT", 0)}


# ------------------------------------------------------------------------------------ brakes


async def test_a_first_share_leaves_and_a_person_lets_the_rest_go(house: House, postbox: Postbox) -> None:
    set_house(house, canary_share=0.1)
    hop_id = await fill(house, 50)
    async with house.store.act() as ledger:
        campaign = await ledger.first(select(Campaign))
        await ledger.change(Campaign, plan=campaign.plan | {"urgency": "normal"}, urgency="normal")
    assert await outbox.dispatch(house, postbox, hop_id) == {"accepted": 5}
    async with house.store.view() as ledger:
        assert (await ledger.first(select(Campaign))).held_by == "engine"
        held = await ledger.first(select(EventRow).where(EventRow.kind == "held"))
        assert "5/50" in held.data["why"]
    assert await outbox.dispatch(house, postbox, hop_id) == {}
    assert await outbox.dispatch(house, postbox, None) == {"accepted": 1}, "the unit in charge is told"
    notice = postbox.sent[-1][1]
    assert "5/50" in notice["Subject"]
    assert f"congvan campaign resume {campaign.code}" in notice.get_body(("plain",)).get_content()
    await campaigns.resume(house, campaign.id, "Lan")
    assert await outbox.dispatch(house, postbox, hop_id) == {"accepted": 45}


async def test_each_hop_has_its_own_first_share_whatever_was_let_go_before(
    house: House, postbox: Postbox, clock: HandClock
) -> None:
    set_house(house, canary_share=0.05)
    hop_id = await fill(house, 40)
    async with house.store.act() as ledger:
        campaign = await ledger.first(select(Campaign))
        await ledger.change(Campaign, plan=campaign.plan | {"urgency": "normal"}, urgency="normal")
        other = await ledger.first(select(Hop.id).where(Hop.id != hop_id))
        sent = await ledger.all(select(Message.id).where(Message.hop_id == hop_id).order_by(Message.id).limit(26))
        await ledger.change(Message, Message.id.in_(sent), hop_id=other, state="SENT", attempts=1)
    await campaigns.hold(house, campaign.id, "Lan")
    await campaigns.resume(house, campaign.id, "Lan")
    clock.forward(minutes=1)
    assert await outbox.dispatch(house, postbox, hop_id) == {"accepted": 1}
    async with house.store.view() as ledger:
        assert (await ledger.first(select(Campaign))).held_by == "engine"
    await campaigns.resume(house, campaign.id, "Lan")
    assert await outbox.dispatch(house, postbox, hop_id) == {"accepted": 13}


async def test_what_a_person_lets_go_holds_for_every_hop_of_that_level(house: House, postbox: Postbox) -> None:
    set_house(house, canary_share=0.1)
    hop_id = await fill(house, 50)
    async with house.store.act() as ledger:
        level = (await ledger.get(Hop, hop_id)).level
        other = await ledger.first(select(Hop.id).where(Hop.id != hop_id))
        await ledger.change(Hop, Hop.id == other, level=level)
        campaign = await ledger.first(select(Campaign))
        await ledger.change(Campaign, plan=campaign.plan | {"urgency": "normal"}, urgency="normal")
        some = await ledger.all(select(Message.id).where(Message.hop_id == hop_id).order_by(Message.id).limit(20))
        await ledger.change(Message, Message.id.in_(some), hop_id=other)
    assert await outbox.dispatch(house, postbox, hop_id) == {"accepted": 3}
    await campaigns.resume(house, campaign.id, "Lan")
    waiting = 20 + 1  # its own slip among them
    assert await outbox.dispatch(house, postbox, other) == {"accepted": waiting}, "nobody is asked for each of hundreds"


async def test_too_many_refusals_hold_the_campaign_and_its_log_says_why(house: House, postbox: Postbox) -> None:
    hop_id = await fill(house, 2_000)
    refused = Outcome("", "refused", 550, "5.1.1 unknown")
    postbox.says = lambda item: (
        Outcome(item.key, refused.verdict, refused.code, refused.reply) if int(item.key, 16) % 2 else None
    )
    tally = await outbox.dispatch(house, postbox, hop_id)
    assert sum(tally.values()) < 1_000
    async with house.store.view() as ledger:
        assert (await ledger.first(select(Campaign))).held_by == "engine"
        assert "từ chối" in (await ledger.first(select(EventRow).where(EventRow.kind == "held"))).data["why"]


async def test_a_few_refusals_hold_nothing(house: House, postbox: Postbox) -> None:
    hop_id = await fill(house, 15)
    postbox.says = lambda item: Outcome(item.key, "refused", 550, "5.1.1 unknown")
    assert await outbox.dispatch(house, postbox, hop_id) == {"refused": 15}
    async with house.store.view() as ledger:
        assert (await ledger.first(select(Campaign))).held_at is None


async def test_an_exercise_reaches_no_real_address(house: House, postbox: Postbox) -> None:
    hop_id = await fill(house, 2)
    real, _ = await messages(house)
    async with house.store.act() as ledger:
        await ledger.change(Message, Message.id == real.id, address="giamdoc@congty.vn")
    reached: list[str] = []

    async def keep(_from: str, to: tuple[str, ...], data: bytes) -> None:
        assert b"congty.vn" not in data
        reached.extend(to)

    async with Sink(keep) as sink:
        sender = Sender(SmtpUrl("127.0.0.1", sink.port, "none"))
        assert await outbox.dispatch(house, sender, hop_id) == {"accepted": 1, "refused": 1}
        assert reached[0].endswith(".example")
        async with house.store.act() as ledger:
            await ledger.change(Message, Message.id == real.id, state="QUEUED")
        set_house(house, exercise_mailbox="tapduot@bql.example")
        await outbox.dispatch(house, sender, hop_id)
        await sender.aclose()
    assert reached[1:] == ["tapduot@bql.example"]


# ------------------------------------------------------------------------------------ large files


async def test_a_file_that_is_too_large_for_a_mail_is_fetched_from_the_recipients_page(house: House) -> None:
    hop_id = await fill(house, 1)
    large = b"%PDF-1.7\n" + bytes(range(256)) * 4_000
    async with house.store.act() as ledger:
        sha256 = await ledger.keep_file(large, "application/pdf")
        document = {"name": "Phụ lục 1/2.pdf", "sha256": sha256, "media_type": "application/pdf"}
        campaign = await ledger.first(select(Campaign))
        await ledger.change(Campaign, upstream=[*campaign.upstream, document])
        (message,) = await ledger.all(select(Message))
        await ledger.change(Message, enclosures=[document, *message.enclosures])
    set_house(house, mail_max_bytes=1_000_000)
    taken: list[bytes] = []

    async def keep(_from: str, _to: tuple[str, ...], data: bytes) -> None:
        taken.append(data)

    async with Sink(keep) as sink:
        sender = Sender(SmtpUrl("127.0.0.1", sink.port, "none"))
        assert await outbox.dispatch(house, sender, hop_id) == {"accepted": 1}
        await sender.aclose()
    mail = message_from_bytes(taken[0], policy=policy.default)
    assert message.enclosures
    assert [part.get_filename() for part in mail.iter_attachments()] == [one["name"] for one in message.enclosures]
    text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert text.count("Tải về: ") == 1
    link = re.search(r"Tải về: (\S+)", text)[1]  # type: ignore[index]
    assert sha256 in text
    assert link in mail.get_body(("html",)).get_content()  # type: ignore[union-attr]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app(house)), base_url="http://x") as web:
        got = await web.get(link)
    assert (got.status_code, got.content) == (200, large)


# ------------------------------------------------------------------------------------ DKIM


async def test_letters_are_signed_where_the_settings_name_a_key(house: House, tmp_path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "dkim.pem").write_bytes(pem)
    set_house(house, dkim_domain="bql.example", dkim_selector="s1", dkim_key_file=tmp_path / "dkim.pem")
    hop_id = await fill(house, 1)
    taken: list[bytes] = []

    def keep(item: Outgoing) -> None:
        taken.append(item.payload() if callable(item.payload) else item.payload)

    await outbox.dispatch(house, Postbox(keep), hop_id)
    from congvan.mail.dkim import Signer

    record = Signer("bql.example", "s1", pem).dns_record.encode()
    assert dkim.verify(taken[0][: -len(b".\r\n")], dnsfunc=lambda *_a, **_k: record)


async def test_a_key_that_is_half_named_stops_the_sender(house: House, postbox: Postbox) -> None:
    set_house(house, dkim_domain="bql.example")
    with pytest.raises(NothingInstalled, match="DKIM"):
        await outbox.dispatch(house, postbox, await fill(house, 1))
    assert postbox.sent == []


# ------------------------------------------------------------------------------------ restored


async def test_an_old_copy_of_the_database_sends_nothing_until_a_person_has_answered(
    house: House, postbox: Postbox, tmp_path: Path
) -> None:
    hop_id = await fill(house, 10)
    first = await outbox.claim(house, hop_id, 1, gate := reconciling.Watermark(house))
    gate.write()
    await outbox.record(house, first, [Outcome(first[0].message.id, "accepted", 250, "")])
    backup = sqlite3.connect(tmp_path / "backup.db")
    with sqlite3.connect(tmp_path / "congvan.db") as live:
        live.backup(backup)
    assert await outbox.dispatch(house, postbox, hop_id) == {"accepted": 9}
    await house.store.close()
    with sqlite3.connect(tmp_path / "congvan.db") as live:
        backup.backup(live)
    backup.close()
    assert await reconciling.is_restored(house)
    assert await outbox.dispatch(house, postbox, hop_id) == {}
    assert await reconciling.reconcile(house, "Lan", resend=False) == {"in_log": 0, "resent": 0, "assumed": 9}
    assert await outbox.dispatch(house, postbox, hop_id) == {}
    assert await states(house) == {"SENT": 10}
    assert len(postbox.taken) == 9
    with pytest.raises(ActRefused):
        await reconciling.reconcile(house, "Lan", resend=True)


async def test_who_wants_it_again_sends_the_same_messages_again(
    house: House, postbox: Postbox, tmp_path: Path
) -> None:
    hop_id = await fill(house, 4)
    mark = reconciling.Watermark(house)
    async with house.store.act() as ledger:
        await mark.raised(ledger)
    mark.write()
    async with house.store.view() as ledger:
        old = await ledger.note("mail-watermark")
    assert old is not None
    await outbox.dispatch(house, postbox, hop_id)
    async with house.store.act() as ledger:  # as the copy would have it
        await ledger.set_note("mail-watermark", old)
        await ledger.session.execute(update(Message).values(state="QUEUED", attempts=0, sent_at=None))
        await ledger.remove(Attempt)
    log = tmp_path / "mail.log"
    known = (await messages(house))[0].message_id
    log.write_text(postfix_log(known), "utf-8")
    set_house(house, mta_log=log)
    assert await reconciling.reconcile(house, "Lan", resend=True) == {"in_log": 1, "resent": 3, "assumed": 0}
    assert await outbox.dispatch(house, postbox, hop_id) == {"accepted": 3}
    assert sorted(postbox.ids().values()) == [1, 2, 2, 2]


async def test_on_postgresql_too_a_reply_with_a_control_character_is_written_down(
    on_postgresql: House, postbox: Postbox
) -> None:
    """PostgreSQL keeps no U+0000: its whole batch would be unknown, and leave again after each lease."""
    house = on_postgresql
    hop_id = await fill(house, 2)
    postbox.says = lambda item: Outcome(item.key, "accepted", 250, "2.0.0 Ok\0 queued")
    assert await outbox.dispatch(house, postbox, hop_id) == {"accepted": 2}
    assert {(one.state, one.reply) for one in await messages(house)} == {("SENT", "2.0.0 Ok queued")}


async def test_claims_of_two_senders_are_counted_one_by_one(on_postgresql: House) -> None:
    """On PostgreSQL claims run at once: one that counted from an old number would leave the database behind its file,
    and no letter would leave until a person had answered for a backup that nobody has restored."""
    house = on_postgresql
    hop_id = await fill(house, 161)
    await outbox.claim(house, hop_id, 1, gate := reconciling.Watermark(house))
    gate.write()

    async def sender() -> int:
        gate, claims = reconciling.Watermark(house), 0
        while await outbox.claim(house, hop_id, 4, gate):
            gate.write()
            claims += 1
        return claims

    claims = await asyncio.gather(*(sender() for _ in range(4)))
    async with house.store.view() as ledger:
        note = await ledger.note("mail-watermark")
    assert note is not None
    assert note["count"] == sum(claims) + 1 >= 41


async def test_what_another_sender_claims_between_two_looks_is_no_restored_backup(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    hop_id = await fill(house, 3)
    await outbox.claim(house, hop_id, 1, gate := reconciling.Watermark(house))
    gate.write()
    look = Ledger.note

    async def note_and_wait(ledger: Ledger, name: str, **how: bool) -> dict[str, Any] | None:
        found = await look(ledger, name, **how)
        mark = reconciling.Watermark(house)
        assert found is not None
        mark._mark = (found["id"], found["count"] + 1, await house.clock.now())
        mark.write()
        return found

    monkeypatch.setattr(Ledger, "note", note_and_wait)
    async with house.store.view() as ledger:
        assert await reconciling.Watermark(house).passes(ledger)


async def test_a_new_database_in_an_old_home_is_no_restored_one(house: House, postbox: Postbox) -> None:
    mark = '{"another": {"count": 900, "at": "2023-12-01T00:00:00+00:00"}}'
    (house.settings.home / "watermark.json").write_text(mark)
    assert await outbox.dispatch(house, postbox, await fill(house, 1)) == {"accepted": 1}


@pytest.mark.parametrize("content", [b"", b"null", b'{"a": 3}', b'{"a": {"count": 3}}'], ids=ascii)
async def test_while_the_watermark_cannot_be_read_nothing_leaves_until_a_person_has_answered(
    house: House, postbox: Postbox, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    hop_id = await fill(house, 2)
    path = house.settings.home / "watermark.json"
    path.write_bytes(content)
    assert await outbox.dispatch(house, postbox, hop_id) == {}
    assert await reconciling.is_restored(house)
    assert "congvan reconcile" in caplog.text
    assert await reconciling.reconcile(house, "Chu Thị Lan", resend=True) == {"in_log": 0, "resent": 2, "assumed": 0}
    assert await outbox.dispatch(house, postbox, hop_id) == {"accepted": 2}
    assert not await reconciling.is_restored(house)
    assert "Lan" not in caplog.text
    async with house.store.view() as ledger:
        said = await ledger.note("reconciled")
    assert said is not None
    assert (said["by"], said["resend"]) == ("Chu Thị Lan", True)
    path.unlink()
    path.mkdir()
    assert await reconciling.is_restored(house)


# ------------------------------------------------------------------------------------ the mail server's log


async def test_a_log_that_cannot_be_read_keeps_no_letter_back(
    house: House, postbox: Postbox, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    mtalog._tell.cache_clear()  # it is said once in a process
    hop_id = await fill(house, 1)
    works = await outbox.claim(house, hop_id)
    await outbox.record(house, works, [Outcome(works[0].message.id, "unknown", None, "no reply to the final dot")])
    set_house(house, mta_log=Path())
    clock.forward(minutes=5)
    assert await outbox.dispatch(house, postbox, hop_id) == {"accepted": 1}
    assert "IsADirectoryError" in caplog.text


def postfix_log(message_id: str) -> str:
    """What Postfix writes of a letter that it took and delivered, and of one that was broken off."""
    stamp = "Dec  1 08:00:01 mx"
    return "\n".join(
        (
            f"{stamp} postfix/smtpd[7]: 4SXyz01: client=localhost[127.0.0.1]",
            f"{stamp} postfix/cleanup[8]: 4SXyz01: message-id={message_id}",
            f"{stamp} postfix/qmgr[5]: 4SXyz01: from=<congvan@bql.example>, size=900, nrcpt=1 (queue active)",
            f"{stamp} postfix/smtp[9]: 4SXyz01: to=<a@b.example>, relay=b.example[1.2.3.4]:25, status=sent (250 ok)",
            f"{stamp} postfix/cleanup[8]: 4SXyz02: message-id=<broken@off.example>",
            f"{stamp} postfix/smtpd[7]: lost connection after DATA (9 bytes) from localhost[127.0.0.1]",
            "",
        )
    )


def test_only_what_the_queue_manager_saw_was_taken(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(postfix_log("<ours@bql.example>"))
    wanted = ["<ours@bql.example>", "<broken@off.example>", "<never@seen.example>"]
    assert set(mtalog.taken(tmp_path / "log", wanted)) == {"<ours@bql.example>"}
    assert mtalog.taken(tmp_path / "no-such-log", wanted) == {}


async def test_an_unknown_letter_that_the_log_knows_is_not_sent_again(
    house: House, postbox: Postbox, clock: HandClock, tmp_path: Path
) -> None:
    hop_id = await fill(house, 2)
    postbox.says = lambda item: Outcome(item.key, "unknown", None, "no reply to the final dot")
    await outbox.dispatch(house, postbox, hop_id)
    assert len(await reconciling.unknown(house)) == 2
    (tmp_path / "mail.log").write_text(postfix_log((await messages(house))[0].message_id))
    set_house(house, mta_log=tmp_path / "mail.log")
    postbox.says = lambda item: None
    clock.forward(minutes=5)
    assert await outbox.dispatch(house, postbox, hop_id) == {"accepted": 1}
    assert await states(house) == {"SENT": 2}
    assert await reconciling.unknown(house) == []


# ------------------------------------------------------------------------------------ killed


async def test_the_journal_of_a_living_process_is_left_alone(house: House, postbox: Postbox) -> None:
    hop_id = await fill(house, 2)
    works = await outbox.claim(house, hop_id)
    with Journal(recovering.folder(house), house.name, 1, [work.message.id for work in works]):
        assert await recovering.recover(house) == {}
    assert await recovering.recover(house) == {"untouched": 2}
    assert await outbox.dispatch(house, postbox, hop_id) == {"accepted": 2}
    assert {(one.attempts, one.unknown) for one in await messages(house)} == {(1, 0)}


async def test_what_a_killed_process_had_not_begun_is_refused_where_one_that_it_overtook_was(
    house: House, clock: HandClock
) -> None:
    hop_id = await fill(house, 2)
    slow = await outbox.claim(house, hop_id)
    clock.forward(seconds=house.settings.lease_s + 1)
    killed = await outbox.claim(house, hop_id)
    with Journal(recovering.folder(house), house.name, 1, [work.message.id for work in killed]):
        await outbox.record(house, slow[:1], [Outcome(slow[0].message.id, "refused", 550, "5.1.1 No such user")])
        assert await states(house) == {"CLAIMED": 2}, "whoever has it in hand may have it taken"
    assert await recovering.recover(house) == {"untouched": 2}
    assert await states(house) == {"REFUSED": 1, "QUEUED": 1}
    assert {one.ordinal for one in await attempts(house)} == {1}, "no attempt that was not made"


async def test_after_a_new_start_of_the_machine_what_the_journal_lacks_is_unknown(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = await outbox.claim(house, await fill(house, 2))
    with Journal(recovering.folder(house), house.name, 1, [work.message.id for work in works]) as journal:
        journal.ended(Outcome(works[0].message.id, "accepted", 250, "2.0.0 Ok"))
    monkeypatch.setattr("congvan.mail.journal.boot_id", lambda: "another start")
    assert await recovering.recover(house) == {"accepted": 1, "unknown": 1}
    assert await states(house) == {"SENT": 1, "UNKNOWN": 1}


def test_kills_at_random_moments_lose_nothing_and_repeat_only_what_was_on_the_wire(tmp_path: Path) -> None:
    """Two of the trials of bench/kill.py, which gives the figures."""
    for seed in range(2):
        result: Trial = survive(tmp_path / str(seed), seed, letters=800)
        assert result.lost == 0, result
        assert result.kills >= 1
        assert result.other_ids == 0, "a repeat is the same message"
        assert result.doubled <= result.kills * result.connections, result


# ------------------------------------------------------------------------------------ final dots


async def test_a_final_dot_leaves_in_the_step_that_reads_the_reply_to_the_one_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dots_module, "DOT_S", 60.0)
    dots, gone = dots_module.Dots(), list[int]()
    await dots.enter(lambda: gone.append(1))
    others = [asyncio.create_task(dots.enter(lambda n=n: gone.append(n))) for n in (2, 3)]  # type: ignore[misc]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert gone == [1]
    dots.leave()
    assert gone == [1, 2], "at once, and one only"
    await others[0]
    dots.leave()
    await others[1]
    assert gone == [1, 2, 3]


async def test_a_dot_whose_connection_was_lost_meanwhile_lets_the_next_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dots_module, "DOT_S", 60.0)
    dots, gone = dots_module.Dots(), list[int]()

    def lost() -> None:
        raise WireLost("the server closed the connection")

    await dots.enter(lambda: gone.append(1))
    second, third, fourth = (
        asyncio.create_task(dots.enter(go)) for go in (lost, lambda: gone.append(3), lambda: gone.append(4))
    )
    await asyncio.sleep(0)
    dots.leave()
    assert gone == [1, 3]
    third.cancel()  # its dot is on its way; whoever would have waited for the reply is gone
    with pytest.raises(WireLost):
        await second
    with pytest.raises(asyncio.CancelledError):
        await third
    await fourth
    assert gone == [1, 3, 4]


async def test_a_slow_reply_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dots_module, "DOT_S", 0.0)
    dots, gone = dots_module.Dots(), list[int]()
    for number in range(5):
        await dots.enter(lambda number=number: gone.append(number))  # type: ignore[misc]
    for _ in range(5):
        dots.leave()
    assert gone == list(range(5))


async def test_letters_are_built_while_no_dot_is_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever builds a row of letters reads no reply meanwhile: a kill would find the dot's letter unknown."""
    monkeypatch.setattr(dots_module, "DOT_S", 60.0)
    dots, gone = dots_module.Dots(), list[int]()
    await dots.enter(lambda: gone.append(1))
    waiting = asyncio.create_task(dots.enter(lambda: gone.append(2)))
    seen: list[list[int]] = []

    async def build() -> None:
        async with dots.none_out():
            seen.append(list(gone))
            await asyncio.sleep(0)
            seen.append(list(gone))

    building = asyncio.create_task(build())
    await asyncio.sleep(0)
    assert seen == []
    dots.leave()
    await building
    await waiting
    assert seen == [[1], [1]]
    assert gone == [1, 2]


async def test_a_slow_server_does_not_keep_letters_from_being_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dots_module, "DOT_S", 0.0)
    dots, gone = dots_module.Dots(), list[int]()
    await dots.enter(lambda: gone.append(1))
    async with dots.none_out():
        gone.append(2)
    await dots.enter(lambda: gone.append(3))
    assert gone == [1, 2, 3]
