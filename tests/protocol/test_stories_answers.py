"""What recipients and operators say: pressed twice, refused with a reason, taken back, by telephone, for a segment."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from congvan.acts import campaigns, confirmations, deliveries, escalations, passing_on, requests
from congvan.errors import ActRefused, BadInput, ImpossibleMove, LinkRevoked
from congvan.logs import configure
from congvan.mail.outgoing import Outcome
from congvan.rules.protocol import Event, Fact, State
from congvan.rules.records import Audience
from congvan.store.ledger import Entry
from congvan.store.tables import Delivery, EventRow, Hop, Message
from tests.conftest import at, text_of
from tests.protocol.world import PLAN, Town, address, register


async def passed_on(town: Town) -> Town:
    """Investor A has passed the letter on."""
    await town.pass_on("INV-A", "12")
    await town.work()
    return town


async def test_the_log_for_machines_names_campaign_hop_and_delivery_and_nobody(
    opened: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    own = logging.getLogger("congvan")
    before = own.handlers, own.propagate
    try:
        configure(opened.house.settings.model_copy(update={"log": "json"}))
        await opened.say("INV-A")
        opened.postbox.says = lambda item: (
            Outcome(item.key, "refused", 550, "5.1.1 No such user") if item.rcpt_to == address("T-OUT") else None
        )
        await opened.until("2023-12-12", "09:00")
        await campaigns.hold(opened.house, opened.campaign, "Lan", "xem lại")
        with pytest.raises(RuntimeError):
            await _undone(opened)
    finally:
        own.handlers, own.propagate = before
        own.setLevel(logging.NOTSET)
    said = capsys.readouterr().err
    lines = [json.loads(line) for line in said.splitlines()]
    told = [(one["message"], one["campaign"], one.get("hop"), one.get("delivery")) for one in lines]
    assert ("acknowledged 8184 8184-INV-A", "8184", None, "8184-INV-A") in told
    assert ("refused 8184 8184-T-OUT", "8184", None, "8184-T-OUT") in told
    assert ("escalated 8184 8184-INV-B", "8184", None, "8184-INV-B") in told
    assert ("opened 8184 INV-B", "8184", "INV-B", None) in told
    assert not any(message.startswith("opened") and delivery for message, _, _, delivery in told), "told once"
    assert ("held 8184", "8184", None, None) in told
    assert not any("recall_agreed" in message for message, *_ in told), "what was rolled back has not happened"
    assert all(one["logger"] == "congvan.happened" and one["level"] == "INFO" and one["at"] for one in lines)
    for private in ("Trần Thị Mẫu", "@", "Lan"):
        assert private not in said


async def _undone(town: Town) -> None:
    async with town.house.store.act() as ledger:
        row = await ledger.take(Delivery, (await town.delivery("INV-B")).id)
        await ledger.write(row, await town.house.clock.now(), Entry(Fact.RECALL_AGREED))
        raise RuntimeError("not committed")


# ------------------------------------------------------------------------------------ pressed twice


async def test_pressing_twice_is_answered_with_the_first_and_written_once(opened: Town) -> None:
    first = await opened.say("VP")
    opened.clock.forward(hours=3)
    again = await opened.say("VP")
    assert (first.again, again.again) == (False, True)
    assert again.recorded_at == first.recorded_at == at("2023-12-01")
    assert (await opened.log("VP")).count("acknowledged") == 1


async def test_a_hundred_presses_at_once_are_one_answer(opened: Town) -> None:
    receipts = await asyncio.gather(*(opened.say("VP") for _ in range(25)))
    assert [receipt.again for receipt in receipts].count(False) == 1
    assert (await opened.log("VP")).count("acknowledged") == 1


async def test_a_step_back_says_nothing_new(opened: Town) -> None:
    await passed_on(opened)
    assert (await opened.say("INV-A")).again
    assert (await opened.delivery("INV-A")).state == State.FORWARDED


async def test_passing_on_twice_issues_one_letter(opened: Town) -> None:
    first, again = await opened.pass_on("INV-A", "12"), await opened.pass_on("INV-A", "13")
    assert (first.again, again.again) == (False, True)
    assert (await opened.letter("INV-A")).number == 12
    await opened.work()
    assert len(opened.postbox.to(address("T1"))) == 1


async def test_passing_on_at_once_from_two_windows_issues_one_letter(opened: Town) -> None:
    receipts = await asyncio.gather(opened.pass_on("INV-A", "12"), opened.pass_on("INV-A", "13"))
    assert sorted(receipt.again for receipt in receipts) == [False, True]
    hop = await opened.hop("INV-A")
    await opened.work()
    assert (await opened.letter("INV-A")).number in (12, 13)
    assert len(await opened.all(Message, Message.hop_id == hop.id)) == 4


async def test_who_answers_leaves_name_and_channel(opened: Town) -> None:
    await opened.say("VP", channel="phone", actor="QHXD", evidence="ông Mẫu, 14 giờ 05")
    row = await opened.delivery("VP")
    assert (row.channel, row.answered_by) == ("phone", {"name": "Trần Thị Mẫu", "position": "Văn thư"})
    (event,) = await opened.all(EventRow, EventRow.stream == row.id, EventRow.kind == "acknowledged")
    assert (event.actor, event.channel, event.data) == ("QHXD", "phone", {"evidence": "ông Mẫu, 14 giờ 05"})


# ------------------------------------------------------------------------------------ a refusal


@pytest.mark.parametrize("reason", ["", "   ", "\n"])
async def test_a_refusal_needs_a_reason(opened: Town, reason: str) -> None:
    with pytest.raises(ActRefused, match="lý do"):
        await opened.say("VP", Event.REJECTED, reason=reason)
    assert (await opened.delivery("VP")).state == State.SENT


async def test_a_refusal_is_work_for_a_person_and_no_silence(opened: Town) -> None:
    await opened.say("VP", Event.REJECTED, reason="Không thuộc phạm vi")
    row = await opened.delivery("VP")
    assert (row.state, row.reason, row.settled_at, row.confirmed_at) == ("REJECTED", "Không thuộc phạm vi", None, None)
    await opened.until("2023-12-31")
    assert [(case.kind, case.closed_at) for case in await opened.cases("VP")] == [("rejected", None)]
    assert await opened.diary("reminder", "overdue", to=("VP",)) == []


async def test_who_refused_may_still_acknowledge(opened: Town) -> None:
    await opened.say("VP", Event.REJECTED, reason="Nhầm nơi nhận")
    await opened.say("VP")
    assert (await opened.delivery("VP")).state == State.ACKNOWLEDGED
    assert [case.closed_why for case in await opened.cases("VP")] == ["acknowledged"]


async def test_who_has_passed_on_cannot_refuse_any_more(opened: Town) -> None:
    await passed_on(opened)
    with pytest.raises(ImpossibleMove):
        await opened.say("INV-A", Event.REJECTED, reason="Đổi ý")


async def test_an_investor_who_refuses_shuts_the_way_and_is_told_of(opened: Town) -> None:
    await opened.say("INV-A", Event.REJECTED, reason="Không còn là chủ đầu tư")
    await opened.until("2023-12-04")
    assert (await opened.delivery("T1")).state == State.QUEUED
    assert [case.rung for case in await opened.cases("INV-A")] == [1]


# ------------------------------------------------------------------------------------ links


async def test_withdrawn_links_are_refused(opened: Town) -> None:
    old = await opened.link("VP")
    row = await opened.delivery("VP")
    await deliveries.withdraw(opened.house, row.id, "QHXD", "gửi nhầm")
    with pytest.raises(LinkRevoked):
        await confirmations.answer(opened.house, row.id, confirmations.Answer(Event.ACKNOWLEDGED), old)
    assert (await opened.delivery("VP")).state == State.WITHDRAWN


async def test_the_link_of_an_earlier_mailbox_ends_when_the_letter_goes_to_another(opened: Town) -> None:
    old = await opened.link("VP")
    row = await opened.delivery("VP")
    await deliveries.resend(opened.house, row.id, "QHXD", address="moi@vp.example", why="đổi hộp thư")
    for act in (
        confirmations.answer(opened.house, row.id, confirmations.Answer(Event.ACKNOWLEDGED), old),
        passing_on.pass_on(opened.house, row.id, passing_on.PassOn("", ""), old),
        requests.propose_contact(opened.house, row.id, {"email": "x@y.example"}, old),
    ):
        with pytest.raises(LinkRevoked):
            await act
    assert (await opened.say("VP")).state == State.ACKNOWLEDGED


async def test_a_proposed_contact_changes_no_address_by_itself(opened: Town) -> None:
    row = await opened.delivery("VP")
    await requests.propose_contact(opened.house, row.id, {"email": "moi@vp.example"}, await opened.link("VP"))
    assert (await opened.delivery("VP")).address == address("VP")
    assert (await opened.log("VP"))[-1] == "contact_proposed"


# ------------------------------------------------------------------------------------ the segment


async def test_a_chemical_enterprise_ticks_its_own_sentence(opened: Town) -> None:
    await passed_on(opened)
    with pytest.raises(ActRefused):
        await opened.say("T-CHEM", segment_ticked=False)
    await opened.say("T-CHEM", segment_ticked=True)
    assert "segment_confirmed" in await opened.log("T-CHEM")


async def test_who_is_in_no_segment_has_nothing_to_tick(opened: Town) -> None:
    await passed_on(opened)
    assert (await opened.say("T1", segment_ticked=False)).state == State.ACKNOWLEDGED


async def test_the_chemical_sentence_stands_in_the_mail_of_who_it_binds(opened: Town) -> None:
    await passed_on(opened)

    def text(code: str) -> str:
        (mail,) = opened.postbox.to(address(code))
        return text_of(mail)

    sentence = "đề nghị các doanh nghiệp hoạt động hóa chất nghiêm túc thực hiện"
    assert text("T-CHEM").count(sentence) > text("T1").count(sentence)


@pytest.mark.parametrize(
    ("segment", "meant"),
    [("chemical", True), ("chemical.storage", True), ("Chemical", True), ("CHEMICAL.Use.Small", True),
     ("chemicals", False), ("chem", False)],
)  # fmt: skip
async def test_who_is_selected_by_a_segment_is_who_reads_and_ticks_its_sentence(
    town: Town, segment: str, meant: bool
) -> None:
    """A part of a segment belongs to the whole, and a capital letter is no other segment."""
    people = register(T_CHEM={"segments": ("hoa-chat",)}, T_OUT={"segments": (segment,)})
    duty = PLAN.segment_duties[0]
    words: dict[str, Any] = {"audience": Audience(segments=("chemical", "hoa-chat")), "segment_duties": (duty,)}
    if not meant:
        with pytest.raises(BadInput, match="không có nhóm ngành «chemical»"):
            await town.launch(people=people, **words)
        return
    await town.launch(people=people, **words)
    await town.work()
    await town.say("BQL")
    await town.work()
    (mail,) = town.postbox.to(address("T-OUT"))
    body = text_of(mail)
    assert body.count("đề nghị các doanh nghiệp hoạt động hóa chất") == 2
    with pytest.raises(ActRefused):
        await town.say("T-OUT", segment_ticked=False)


# ------------------------------------------------------------------------------------ what operators do


async def test_exempting_and_withdrawing_need_a_reason(opened: Town) -> None:
    row = await opened.delivery("VP")
    for act in (deliveries.exempt, deliveries.withdraw):
        with pytest.raises(ActRefused, match="lý do"):
            await act(opened.house, row.id, "QHXD", " ")
    assert (await opened.delivery("VP")).state == State.SENT


async def test_what_was_decided_is_decided_once_and_the_other_way_never(opened: Town) -> None:
    vp, outside = await opened.delivery("VP"), await opened.delivery("T-OUT")
    assert await deliveries.exempt(opened.house, vp.id, "QHXD", "đã sáp nhập")
    assert not await deliveries.exempt(opened.house, vp.id, "QHXD", "đã sáp nhập"), "it was so already"
    with pytest.raises(ActRefused, match="đã được miễn báo cáo; không thu hồi được nữa"):
        await deliveries.withdraw(opened.house, vp.id, "QHXD", "gửi nhầm")
    assert await deliveries.withdraw(opened.house, outside.id, "QHXD", "gửi nhầm")
    assert not await deliveries.withdraw(opened.house, outside.id, "QHXD", "gửi nhầm")
    with pytest.raises(ActRefused, match="đã được thu hồi; không miễn báo cáo được nữa"):
        await deliveries.exempt(opened.house, outside.id, "QHXD", "đã sáp nhập")


async def test_who_is_exempted_is_left_in_peace_and_its_case_is_closed(opened: Town) -> None:
    await opened.until("2023-12-11", "17:00")
    row = await opened.delivery("VP")
    await deliveries.exempt(opened.house, row.id, "QHXD", "đã sáp nhập")
    await opened.until("2023-12-31")
    assert [(case.closed_why, case.closed_by) for case in await opened.cases("VP")] == [("exempted", "QHXD")]
    assert (await opened.delivery("VP")).state == State.EXEMPT
    assert await opened.diary("overdue", to=("VP",)) == ["11/12 08:00 VP overdue"]


async def test_what_is_withdrawn_before_it_leaves_never_leaves(town: Town) -> None:
    town.clock.set(at("2023-12-02", "22:00"))
    await town.launch()
    await town.work()
    await town.say("BQL")
    await town.work()
    row = await town.delivery("T-OUT")
    await deliveries.withdraw(town.house, row.id, "QHXD", "gửi nhầm")
    await town.until("2023-12-05")
    assert town.postbox.to(address("T-OUT")) == []
    assert len(town.postbox.to(address("VP"))) == 1


async def test_a_letter_is_sent_again_to_another_mailbox_as_another_message(opened: Town) -> None:
    first = await opened.one(Message, Message.recipient == "VP", Message.kind == "letter")
    row = await opened.delivery("VP")
    await deliveries.resend(opened.house, row.id, "QHXD", address="moi@vp.example", why="đổi hộp thư")
    await opened.work()
    (mail,) = opened.postbox.to("moi@vp.example")
    assert str(mail["Message-ID"]).strip("<>") != first.message_id.strip("<>")
    await opened.until("2023-12-06")
    reminder = opened.postbox.to("moi@vp.example")[-1]
    assert str(reminder["In-Reply-To"]) == str(mail["Message-ID"])


async def test_who_has_answered_is_not_written_to_again(opened: Town) -> None:
    await opened.say("VP")
    row = await opened.delivery("VP")
    with pytest.raises((ActRefused, ImpossibleMove)):
        await deliveries.resend(opened.house, row.id, "QHXD", address="moi@vp.example")
    assert opened.postbox.to("moi@vp.example") == []


async def test_a_letter_whose_hop_is_shut_cannot_be_sent_again(opened: Town) -> None:
    row = await opened.delivery("T1")
    with pytest.raises(ActRefused):
        await deliveries.resend(opened.house, row.id, "QHXD")


async def test_an_answer_by_telephone_may_come_before_the_letter(opened: Town) -> None:
    await opened.say("T1", channel="phone", actor="QHXD")
    assert (await opened.delivery("T1")).state == State.ACKNOWLEDGED
    await passed_on(opened)
    assert opened.postbox.to(address("T1")) == [], "who has settled is not written to"
    assert len(opened.postbox.to(address("T2"))) == 1


async def test_a_case_is_taken_in_hand_by_a_named_person(outside: Town) -> None:
    await outside.until("2023-12-12", "09:00")
    row = await outside.delivery("T-OUT")
    await escalations.claim(outside.house, row.id, "Bà Mẫu", "sẽ gọi điện")
    (case,) = await outside.cases("T-OUT")
    assert (case.claimed_by, case.notes[0]["note"]) == ("Bà Mẫu", "sẽ gọi điện")
    assert (await outside.log("T-OUT"))[-1] == "claimed"


# ------------------------------------------------------------------------------------ who is woken


async def test_an_answer_by_which_nothing_becomes_due_wakes_nobody(opened: Town) -> None:
    before = {hop.issuer: hop.wake_seq for hop in await opened.all(Hop)}
    await opened.say("VP")
    await opened.say("INV-A")
    assert {hop.issuer: hop.wake_seq for hop in await opened.all(Hop)} == before


async def test_passing_on_wakes_the_hop_below_at_once(opened: Town) -> None:
    opened.clock.forward(hours=2)
    await opened.pass_on("INV-A")
    hop = await opened.hop("INV-A")
    assert (hop.wake_at, hop.state) == (at("2023-12-01", "10:00"), "WAITING")


async def test_the_last_answer_wakes_its_hop_and_settles_it(outside: Town) -> None:
    before = (await outside.hop("BQL")).wake_seq
    await outside.say("T-OUT")
    assert (await outside.hop("BQL")).wake_seq == before + 1
    await outside.work()
    assert (await outside.hop("BQL")).state == "SETTLED"
