"""The outbox: an attempt is written before the first byte, an outcome after the last, each at its hour."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta

import pytest

from congvan.acts import amending, campaigns, deliveries, hops, mails, outbox, recalls, telling, wording
from congvan.acts.composing import Composer
from congvan.house import House
from congvan.mail.outgoing import Outcome, Outgoing
from congvan.rules.protocol import Event, State
from congvan.store.ledger import Ledger
from congvan.store.tables import Attempt, Delivery, File, Letter, Message
from tests.conftest import Postbox, at, text_of
from tests.protocol.world import PLAN, Town, address

ACCEPTED = ("accepted", 250, "2.0.0 Ok")
BUSY = ("unavailable", 451, "4.7.1 greylisted")
UNKNOWN = ("unknown", None, "connection lost after the final dot")
GONE = ("refused", 550, "5.1.1 no such user")


async def opening(town: Town) -> str:
    """The Board's hop is open and its letters are written down; nothing has left. Returns the hop."""
    await town.launch()
    await town.work()
    await town.say("BQL")
    hop = await town.hop("BQL")
    lease = await hops.turn(town.house, hop.id)
    assert lease is not None
    await hops.rest(town.house, lease)
    await hops.release(town.house, lease)
    return hop.id


async def reminding(town: Town, hour: str = "08:00") -> hops.Lease:
    """The Board's hop has been turned on the day of the reminder to T-OUT, which is written down; nothing has left."""
    await town.until("2023-12-06", "07:59")
    hop = await town.hop("BQL")
    town.clock.set(at("2023-12-06", hour))
    lease = await hops.turn(town.house, hop.id)
    assert lease is not None
    return lease


async def outcome(town: Town, hop_id: str, said: tuple[str, int | None, str]) -> list[outbox.Work]:
    """Claim what may leave and record the same outcome for all of it."""
    works = await outbox.claim(town.house, hop_id)
    await outbox.record(town.house, works, [Outcome(work.message.id, *said) for work in works])  # type: ignore[arg-type]
    return works


async def message(town: Town, code: str, kind: str = "letter") -> Message:
    """The one message of this kind to a recipient."""
    row: Message = await town.one(Message, Message.recipient == code, Message.kind == kind)
    return row


async def attempts(town: Town, code: str) -> list[Attempt]:
    """What was tried with a recipient's letter."""
    row = await message(town, code)
    return sorted(await town.all(Attempt, Attempt.message_id == row.id), key=lambda one: one.ordinal)


# ------------------------------------------------------------------------------------ intent, attempt, outcome


async def test_the_intent_is_written_with_the_fact_that_causes_it(town: Town) -> None:
    hop_id = await opening(town)
    rows = await town.all(Message, Message.hop_id == hop_id)
    assert {(row.recipient, row.kind, row.state, row.attempts) for row in rows} == {
        (code, kind, "QUEUED", 0)
        for code, kind in [
            ("INV-A", "letter"), ("INV-B", "letter"), ("T-OUT", "letter"), ("VP", "letter"),
            ("UBND-HP", "copy"), ("TB", "copy"), ("PTB", "copy"),
        ]
    }  # fmt: skip
    assert town.postbox.to(address("VP")) == []


async def test_an_attempt_is_written_before_the_first_byte(town: Town) -> None:
    hop_id = await opening(town)
    works = await outbox.claim(town.house, hop_id)
    assert len(works) == 7
    row = await message(town, "VP")
    assert (row.state, row.attempts, row.lease_owner) == ("CLAIMED", 1, town.house.name)
    (attempt,) = await attempts(town, "VP")
    assert (attempt.outcome, attempt.finished_at, attempt.address) == (None, None, address("VP"))


async def test_what_the_server_took_is_sent(town: Town) -> None:
    hop_id = await opening(town)
    await outcome(town, hop_id, ACCEPTED)
    row, delivery = await message(town, "VP"), await town.delivery("VP")
    assert (row.state, row.sent_at, row.lease_until, row.unknown) == ("SENT", at("2023-12-01"), None, 0)
    assert (delivery.state, delivery.sent_at) == (State.SENT, at("2023-12-01"))
    assert [attempt.outcome for attempt in await attempts(town, "VP")] == ["accepted"]
    assert await outbox.claim(town.house, hop_id) == []


async def test_what_the_server_refuses_is_never_tried_again(town: Town) -> None:
    hop_id = await opening(town)
    await outcome(town, hop_id, GONE)
    town.clock.forward(days=3)
    assert await outbox.claim(town.house, hop_id) == []
    assert (await town.delivery("VP")).state == State.UNDELIVERABLE
    assert (await message(town, "VP")).state == "REFUSED"
    assert [case.kind for case in await town.cases("VP")] == ["undeliverable"]


async def test_a_copy_that_is_refused_moves_nobodys_obligation(town: Town) -> None:
    hop_id = await opening(town)
    await outcome(town, hop_id, GONE)
    assert {row.recipient for row in await town.all(Delivery, Delivery.state == State.UNDELIVERABLE)} == {
        "INV-A", "INV-B", "T-OUT", "VP",
    }  # fmt: skip
    assert (await message(town, "TB", "copy")).state == "REFUSED"


async def test_not_now_is_tried_again_after_pauses_that_double(town: Town) -> None:
    hop_id = await opening(town)
    waits = []
    for _ in range(5):
        await outcome(town, hop_id, BUSY)
        row = await message(town, "VP")
        assert row.state == "QUEUED"
        waits.append((row.not_before - town.clock._now) / timedelta(minutes=1))
        assert await outbox.claim(town.house, hop_id) == [], "not before its time"
        town.clock.forward(hours=1)
    for expected, waited in zip((1, 2, 4, 8, 16), waits, strict=True):
        assert 0.7 * expected <= waited <= 1.3 * expected
    assert [attempt.outcome for attempt in await attempts(town, "VP")] == ["unavailable"] * 5
    assert (await town.delivery("VP")).state == State.QUEUED


@pytest.mark.parametrize(("attempt", "minutes"), [(1, 1), (2, 2), (5, 16), (8, 128), (9, 240), (50, 240), (5000, 240)])
def test_pauses_double_from_a_minute_to_four_hours(attempt: int, minutes: int) -> None:
    assert outbox.wait_before(attempt) == timedelta(minutes=minutes)


async def test_what_found_the_way_shut_together_asks_again_together(town: Town) -> None:
    hop_id = await opening(town)
    works = await outbox.claim(town.house, hop_id)
    shut = [Outcome(work.message.id, "unavailable", None, "no connection", True) for work in works]
    await outbox.record(town.house, works, shut)
    rows = await town.all(Message, Message.hop_id == hop_id)
    assert len(rows) > 1
    assert len({row.not_before for row in rows}) == 1
    assert {row.attempts for row in rows} == {0}


async def test_what_found_the_way_shut_in_one_round_wakes_its_hop_once(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    hop_id = await opening(town)
    # A server that is given time is asked again after seconds: then the outcomes of a round are recorded one by one.
    monkeypatch.setattr(outbox, "_RECORD_EVERY_S", -1.0)
    shut = Postbox(lambda item: Outcome(item.key, "unavailable", None, "no connection", True))
    for _ in range(2):
        await outbox.dispatch(town.house, shut, hop_id)
        rows = await town.all(Message, Message.hop_id == hop_id)
        assert len(rows) > 1
        (again,) = {row.not_before for row in rows}
        assert again > town.clock._now
        town.clock.set(again)
    assert {row.attempts for row in rows} == {0}


async def test_a_letter_and_its_replacement_that_leave_together_are_sent_once_in_the_log(town: Town) -> None:
    hop_id = await opening(town)
    first = await message(town, "VP")
    anew = mails.Mail(
        kind="replacement", step="2", recipient="VP", address=first.address, not_before=first.not_before,
        delivery_id=first.delivery_id, hop_id=hop_id, campaign_id=first.campaign_id,
    )  # fmt: skip
    async with town.house.store.act() as ledger:
        await mails.queue(town.house, ledger, [anew], first.created_at)
    await outcome(town, hop_id, ACCEPTED)
    assert (await town.log("VP")).count("sent") == 1
    assert (await message(town, "VP", "replacement")).state == "SENT"


async def test_a_replacement_that_is_issued_while_a_round_lasts_leaves_with_its_own_words(town: Town) -> None:
    hop_id = await opening(town)
    composer = Composer(town.house)

    async def said(code: str) -> str:
        works = await outbox.claim(town.house, hop_id)
        await composer.compose(works)
        await outbox.record(town.house, works, [Outcome(work.message.id, *ACCEPTED) for work in works])
        return next(composer.words(work).text for work in works if work.message.recipient == code)

    old = await town.one(Letter, Letter.hop_id == hop_id, Letter.state == "ISSUED")
    assert old.symbol in await said("VP")
    # The body is the scene's; the number of the new letter and its subject are the message's own.
    words = PLAN.letter.model_copy(update={"requests": ("Trực ban 24/24 giờ kể từ ngày ban hành.",)})
    await amending.replace(town.house, old.id, words, "Lan", "sai thời gian cao điểm")
    assert "Trực ban 24/24 giờ" in await said("VP")


async def test_what_the_server_may_have_is_unknown_counted_and_sent_again_as_the_same_message(town: Town) -> None:
    hop_id = await opening(town)
    (first,) = [
        work.message.message_id for work in await outcome(town, hop_id, UNKNOWN) if work.message.recipient == "VP"
    ]
    row = await message(town, "VP")
    assert (row.state, row.unknown) == ("UNKNOWN", 1)
    assert [attempt.outcome for attempt in await attempts(town, "VP")] == [None]
    town.clock.forward(minutes=5)
    await outbox.dispatch(town.house, town.postbox, hop_id)
    (mail,) = town.postbox.to(address("VP"))
    assert str(mail["Message-ID"]).strip("<>") == first.strip("<>")
    row = await message(town, "VP")
    assert (row.state, row.unknown, row.attempts) == ("SENT", 1, 2)


async def test_whoever_has_answered_by_its_link_gets_no_further_copy_of_an_unknown_letter(town: Town) -> None:
    """The server took it and never said so; it would be sent again every few hours."""
    hop_id = await opening(town)
    await outcome(town, hop_id, UNKNOWN)
    await town.say("VP")
    town.clock.forward(minutes=5)
    await outbox.dispatch(town.house, town.postbox, hop_id)
    assert town.postbox.to(address("VP")) == []
    assert (await message(town, "VP")).state == "CANCELLED"
    assert len(town.postbox.taken) > 1, "to the others it is sent again"


async def test_one_message_that_fails_does_not_hold_up_the_others(town: Town) -> None:
    hop_id = await opening(town)
    town.postbox.says = lambda item: Outcome(item.key, *BUSY) if item.rcpt_to == address("VP") else None  # type: ignore[arg-type]
    tally = await outbox.dispatch(town.house, town.postbox, hop_id)
    assert (tally["accepted"], tally["unavailable"]) == (6, 1)


# ------------------------------------------------------------------------------------ who has it in hand


async def test_two_senders_never_have_the_same_message_in_hand(town: Town) -> None:
    hop_id = await opening(town)
    found = await asyncio.gather(*(outbox.claim(town.house, hop_id, 3) for _ in range(4)))
    keys = [work.message.id for works in found for work in works]
    assert len(keys) == len(set(keys)) == 7
    assert max(map(len, found)) == 3


async def test_a_claim_is_nobody_elses_until_its_lease_ends(town: Town) -> None:
    hop_id = await opening(town)
    assert len(await outbox.claim(town.house, hop_id)) == 7
    town.clock.forward(seconds=town.house.settings.lease_s)
    assert await outbox.claim(town.house, hop_id) == []
    town.clock.forward(seconds=1)
    again = await outbox.claim(town.house, hop_id)
    assert len(again) == 7
    row = await message(town, "VP")
    assert (row.unknown, row.attempts) == (1, 2), "its first attempt is unknown"
    assert [attempt.outcome for attempt in await attempts(town, "VP")] == [None, None]


async def test_a_claim_that_is_put_off_over_night_is_still_counted_as_unknown(outside: Town) -> None:
    lease = await reminding(outside)
    assert [work.message.kind for work in await outbox.claim(outside.house, lease.hop_id)] == ["reminder"]
    outside.clock.set(at("2023-12-06", "20:00"))
    assert await outbox.claim(outside.house, lease.hop_id) == []
    row = await message(outside, "T-OUT", "reminder")
    assert (row.state, row.unknown, row.not_before) == ("QUEUED", 1, at("2023-12-07", "07:30"))


async def test_a_refusal_that_comes_after_the_message_was_put_off_is_still_the_last_word(outside: Town) -> None:
    """A process stood still with it on the wire into the evening, and somebody put it off meanwhile (seed 405)."""
    lease = await reminding(outside)
    works = await outbox.claim(outside.house, lease.hop_id)
    outside.clock.set(at("2023-12-06", "20:00"))
    assert await outbox.claim(outside.house, lease.hop_id) == []
    refused = [Outcome(work.message.id, "refused", 550, "5.1.1 No such user") for work in works]
    await outbox.record(outside.house, works, refused)
    outside.clock.set(at("2023-12-07"))
    assert await outbox.claim(outside.house, lease.hop_id) == []
    assert (await message(outside, "T-OUT", "reminder")).state == "REFUSED"


async def test_a_server_that_had_no_time_does_not_bring_back_what_was_put_off_meanwhile(outside: Town) -> None:
    """A process whose clock runs ahead put it off to the morning, and the hop sleeps until then (seed 4)."""
    lease = await reminding(outside, "16:50")
    works = await outbox.claim(outside.house, lease.hop_id)
    outside.clock.set(at("2023-12-06", "17:50"))
    assert await outbox.claim(outside.house, lease.hop_id) == []
    assert await hops.rest(outside.house, lease) == at("2023-12-07", "07:30")
    outside.clock.set(at("2023-12-06", "16:51"))
    await outbox.record(outside.house, works, [Outcome(work.message.id, *BUSY) for work in works])
    row = await message(outside, "T-OUT", "reminder")
    assert (row.state, row.not_before) == ("QUEUED", at("2023-12-07", "07:30"))


async def test_a_refusal_is_the_last_word_where_whoever_overtook_its_process_never_tried(outside: Town) -> None:
    """The process stood still with it on the wire, another claimed it and found the way shut (seed 30)."""
    lease = await reminding(outside)
    slow = await outbox.claim(outside.house, lease.hop_id)
    outside.clock.forward(seconds=outside.house.settings.lease_s + 1)
    quick = await outbox.claim(outside.house, lease.hop_id)
    refused = [Outcome(work.message.id, "refused", 550, "5.1.1 No such user") for work in slow]
    await outbox.record(outside.house, slow, refused)
    row = await message(outside, "T-OUT", "reminder")
    assert row.state == "CLAIMED", "the other may have it taken"
    shut = [Outcome(work.message.id, "unavailable", None, "no connection", slow_down=True) for work in quick]
    await outbox.record(outside.house, quick, shut)
    row = await message(outside, "T-OUT", "reminder")
    assert (row.state, row.reply) == ("REFUSED", "5.1.1 No such user")


async def test_a_reminder_that_died_on_the_wire_is_not_sent_again_after_the_answer(outside: Town) -> None:
    lease = await reminding(outside)
    assert len(await outbox.claim(outside.house, lease.hop_id)) == 1
    await outside.say("T-OUT")
    outside.clock.forward(hours=1)
    assert await outbox.claim(outside.house, lease.hop_id) == []
    row = await message(outside, "T-OUT", "reminder")
    assert (row.state, row.unknown) == ("CANCELLED", 1), "and it is still counted as unknown"


async def test_mail_of_no_hop_and_mail_of_a_hop_are_carried_apart(outside: Town) -> None:
    await outside.until("2023-12-12", "07:59")
    outside.clock.set(at("2023-12-12"))
    await telling.tell(outside.house)
    hop = await outside.hop("BQL")
    assert await outbox.claim(outside.house, hop.id) == []
    assert [work.message.kind for work in await outbox.claim(outside.house, None)] == ["digest", "urge", "copy"]


# ------------------------------------------------------------------------------------ the right hour


async def test_a_letter_written_down_at_night_leaves_in_the_morning(town: Town) -> None:
    town.clock.set(at("2023-12-01", "18:00"))
    hop_id = await opening(town)
    assert await outbox.claim(town.house, hop_id) == []
    row = await message(town, "VP")
    assert (row.not_before, row.attempts) == (at("2023-12-04", "07:30"), 0)


async def test_a_mail_that_was_due_by_day_and_comes_up_at_night_is_put_off(town: Town) -> None:
    hop_id = await opening(town)
    town.clock.set(at("2023-12-01", "18:00"))
    assert await outbox.claim(town.house, hop_id) == []
    assert (await message(town, "VP")).not_before == at("2023-12-04", "07:30")


async def test_a_held_campaign_keeps_its_mail(town: Town) -> None:
    hop_id = await opening(town)
    await campaigns.hold(town.house, "8184", "PTB")
    assert await outbox.claim(town.house, hop_id) == []
    await campaigns.resume(town.house, "8184", "PTB")
    assert len(await outbox.claim(town.house, hop_id)) == 7


# ------------------------------------------------------------------------------------ while it is on the wire


async def test_who_was_withdrawn_meanwhile_gets_nothing(town: Town) -> None:
    hop_id = await opening(town)
    await deliveries.withdraw(town.house, (await town.delivery("VP")).id, "QHXD", "gửi nhầm")
    assert "VP" not in {work.message.recipient for work in await outbox.claim(town.house, hop_id)}
    assert (await message(town, "VP")).state == "CANCELLED"


EITHER_WAY = pytest.mark.parametrize("before", [False, True], ids=["on the wire", "unknown"])


@EITHER_WAY
@pytest.mark.parametrize("end", [deliveries.withdraw, deliveries.exempt])
async def test_who_is_let_go_while_the_letter_is_being_sent_to_him_is_told(
    town: Town, end: Callable[..., Awaitable[None]], before: bool
) -> None:
    finish = await being_sent(town, before)
    await end(town.house, (await town.delivery("VP")).id, "QHXD", "gửi nhầm")
    await finish()
    assert len(await town.diary("withdrawal", "exemption", to=("VP",))) == 1


@EITHER_WAY
async def test_a_letter_is_taken_back_from_those_to_whom_it_is_being_sent(town: Town, before: bool) -> None:
    finish = await being_sent(town, before)
    assert await recalls.recall(town.house, (await town.letter("BQL")).id, "QHXD", "sai nội dung") > 0
    assert (await town.delivery("VP")).recall == recalls.REQUESTED
    assert (await town.delivery("T1")).recall == recalls.UNSENT, "below an investor nothing has left"
    await finish()
    assert await town.diary("recall", to=("VP", "T1")) == ["01/12 08:00 VP recall"]


async def being_sent(town: Town, unknown: bool) -> Callable[[], Awaitable[None]]:
    """The letters of the Board are on the wire, or were and nobody knows what became of them; what ends it."""
    works = await outbox.claim(town.house, await opening(town))
    outcomes = [Outcome(work.message.id, *(UNKNOWN if unknown else ACCEPTED)) for work in works]  # type: ignore[arg-type]

    async def finish() -> None:
        if not unknown:
            await outbox.record(town.house, works, outcomes)
        await town.work()

    if unknown:
        await outbox.record(town.house, works, outcomes)
    return finish


async def test_an_answer_that_is_quicker_than_the_servers_reply_is_not_taken_back(town: Town) -> None:
    hop_id = await opening(town)
    works = await outbox.claim(town.house, hop_id)
    await town.say("VP")
    await outbox.record(town.house, works, [Outcome(work.message.id, *ACCEPTED) for work in works])  # type: ignore[arg-type]
    row = await town.delivery("VP")
    assert (row.state, row.wake_at) == (State.ACKNOWLEDGED, None)


async def test_an_investor_who_acknowledged_before_the_servers_reply_is_still_reminded_to_pass_on(town: Town) -> None:
    hop_id = await opening(town)
    works = await outbox.claim(town.house, hop_id)
    await town.say("INV-A")
    await outbox.record(town.house, works, [Outcome(work.message.id, *ACCEPTED) for work in works])  # type: ignore[arg-type]
    await town.until("2023-12-06")
    assert await town.diary("reminder", to=("INV-A",)) == ["06/12 08:00 INV-A reminder"]


@pytest.mark.parametrize("said", [Event.ACKNOWLEDGED, Event.STARTED])
async def test_who_answered_by_telephone_before_the_letter_left_is_still_reminded_of_the_rest(
    town: Town, said: Event
) -> None:
    hop_id = await opening(town)
    await town.say("INV-A", said, channel="phone", actor="QHXD")
    await outbox.dispatch(town.house, town.postbox, hop_id)
    assert (await town.delivery("INV-A")).sent_at == at("2023-12-01")
    await town.until("2023-12-06")
    assert await town.diary("letter", "reminder", to=("INV-A",)) == [
        "01/12 08:00 INV-A letter", "06/12 08:00 INV-A reminder",
    ]  # fmt: skip


async def test_a_letter_that_is_sent_once_more_to_one_who_answered_begins_nothing_anew(town: Town) -> None:
    await outbox.dispatch(town.house, town.postbox, await opening(town))
    await town.say("INV-A")
    await town.until("2023-12-04", "10:00")
    await deliveries.resend(town.house, (await town.delivery("INV-A")).id, "QHXD")
    await town.work()
    assert (await town.delivery("INV-A")).sent_at == at("2023-12-01")


async def test_who_answered_all_by_telephone_before_the_letter_left_is_left_in_peace(town: Town) -> None:
    hop_id = await opening(town)
    await town.say("VP", channel="phone", actor="QHXD")
    await outbox.dispatch(town.house, town.postbox, hop_id)
    row = await town.delivery("VP")
    assert (row.sent_at, row.wake_at) == (None, None)


@pytest.mark.parametrize("boxes", [[], ["hcns@vp.example"]], ids=["no other mailbox", "another one on the list"])
async def test_what_is_said_of_a_letter_that_was_sent_anew_since_moves_nothing(town: Town, boxes: list[str]) -> None:
    works = await sent_anew_meanwhile(town, boxes)
    await outbox.record(town.house, works, [Outcome(work.message.id, *GONE) for work in works])  # type: ignore[arg-type]
    row = await town.delivery("VP")
    assert (row.state, row.address, row.round, row.mailboxes) == (State.QUEUED, "moi@vp.example", 2, boxes)
    assert row.wake_at is not None
    assert await town.cases("VP") == []
    assert (await town.log("VP"))[-1] == "delayed"
    await outbox.dispatch(town.house, town.postbox, works[0].message.hop_id)
    assert len(town.postbox.to("moi@vp.example")) == 1
    assert (await town.delivery("VP")).state == State.SENT


async def test_an_old_letter_that_is_taken_does_not_make_the_new_one_sent(town: Town) -> None:
    works = await sent_anew_meanwhile(town, [])
    await outbox.record(town.house, works, [Outcome(work.message.id, *ACCEPTED) for work in works])  # type: ignore[arg-type]
    row = await town.delivery("VP")
    assert (row.state, row.sent_at) == (State.QUEUED, None)
    assert (await town.log("VP"))[-1] == "noted"


async def sent_anew_meanwhile(town: Town, boxes: list[str]) -> list[outbox.Work]:
    """The letter to VP is on the wire when a person sends it to another mailbox; what is on the wire."""
    hop_id = await opening(town)
    row = await town.delivery("VP")
    async with town.house.store.act() as ledger:
        await ledger.change(Delivery, Delivery.id == row.id, mailboxes=boxes)
    works = await outbox.claim(town.house, hop_id)
    await deliveries.resend(town.house, row.id, "QHXD", address="moi@vp.example")
    return [work for work in works if work.message.delivery_id == row.id]


async def test_an_old_reminder_that_is_refused_leaves_the_new_mailbox_alone(outside: Town) -> None:
    lease = await reminding(outside)
    works = await outbox.claim(outside.house, lease.hop_id)
    await deliveries.resend(outside.house, (await outside.delivery("T-OUT")).id, "QHXD", address="moi@t-out.example")
    await outbox.record(outside.house, works, [Outcome(work.message.id, *GONE) for work in works])  # type: ignore[arg-type]
    assert (await outside.delivery("T-OUT")).state == State.QUEUED
    assert await outside.cases("T-OUT") == []


async def test_a_bounce_of_a_reminder_makes_the_mailbox_unreachable(outside: Town) -> None:
    outside.postbox = Postbox(lambda item: Outcome(item.key, *GONE) if item.rcpt_to == address("T-OUT") else None)  # type: ignore[arg-type]
    await outside.until("2023-12-06")
    assert (await outside.delivery("T-OUT")).state == State.UNDELIVERABLE
    assert (await outside.delivery("T-OUT")).wake_at is None


async def test_a_slow_server_does_not_lose_the_claim(town: Town) -> None:
    """While the carrier is at work the messages stay ours, and each leaves once."""
    hop_id = await opening(town)
    other: list[int] = []

    class Slow(Postbox):
        async def send(self, batch):  # type: ignore[no-untyped-def]
            async for one in super().send(batch):
                other.append(len(await outbox.claim(town.house, hop_id)))
                yield one

    slow = Slow()
    await outbox.dispatch(town.house, slow, hop_id)
    assert sum(other) == 0
    assert max(slow.ids().values()) == 1


async def test_the_words_are_made_when_the_message_leaves(town: Town) -> None:
    hop_id = await opening(town)
    seen: list[Outgoing] = []
    town.postbox.says = lambda item: seen.append(item)  # type: ignore[func-returns-value, assignment, return-value]
    await outbox.dispatch(town.house, town.postbox, hop_id)
    assert len(seen) == 7
    (mail,) = town.postbox.to(address("VP"))
    text = text_of(mail)
    assert "Tổ chức VP" in text
    assert "/v/" in text
    assert isinstance(town.house, House)


async def test_a_name_that_stands_on_two_lines_in_the_book_holds_up_no_mail(town: Town) -> None:
    hop_id = await opening(town)
    async with town.house.store.act() as ledger:
        await ledger.change(Delivery, Delivery.recipient == "VP", name="Văn phòng\nBan Quản lý")
    await outbox.dispatch(town.house, town.postbox, hop_id)
    (mail,) = town.postbox.to(address("VP"))
    assert str(mail["To"]) == f"Văn phòng Ban Quản lý <{address('VP')}>"
    assert (await town.delivery("VP")).state == "SENT"


async def test_of_all_files_only_those_that_travel_are_weighed(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    hop_id = await opening(town)
    weighed: list[set[str]] = []
    weigh = wording.sizes_of

    async def noted(ledger: Ledger, keys: Iterable[str]) -> dict[str, int]:
        weighed.append(set(keys))
        return await weigh(ledger, weighed[-1])

    monkeypatch.setattr(wording, "sizes_of", noted)
    await outbox.dispatch(town.house, town.postbox, hop_id)
    travelled = {one["sha256"] for row in await town.all(Message, Message.hop_id == hop_id) for one in row.enclosures}
    assert weighed == [travelled], "once, and nothing else"
    assert len(await town.all(File)) > len(travelled)
    (mail,) = town.postbox.to(address("T-OUT"))
    files = [part.get_payload(decode=True) for part in mail.iter_attachments()]
    assert files
    for data in files:
        assert isinstance(data, bytes)
        assert f"{max(1, len(data) // 1024)} kB" in text_of(mail), "as large as it is"
