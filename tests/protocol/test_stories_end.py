"""The end of a campaign: closed by a named person, reported by an issued document, and the figures agree."""

from __future__ import annotations

from collections import Counter
from datetime import date

import pytest

from congvan.acts import amending, campaigns, closing, deliveries, figures, letters, telling
from congvan.acts.confirmations import Answer, answer
from congvan.errors import ActRefused
from congvan.rules.protocol import Event, State, advance, settled
from congvan.rules.records import Settles
from congvan.store.ledger import Entry, chain_hash
from congvan.store.tables import Campaign, Case, Delivery, EventRow, Hop, Letter, Message
from tests.conftest import at
from tests.protocol.world import PLAN, Town, address, to


async def everybody_answers(town: Town) -> None:
    """Both investors pass on; all acknowledge."""
    for investor in ("INV-A", "INV-B"):
        await town.pass_on(investor)
    await town.work()
    for code in ("VP", "T-OUT", "T1", "T2", "T-CHEM", "T-BOTH", "T3"):
        await town.say(code)
    await town.work()


# ------------------------------------------------------------------------------------ closing


async def test_a_campaign_in_which_all_have_settled_is_closed_by_a_named_person(opened: Town) -> None:
    await everybody_answers(opened)
    assert {hop.state for hop in await opened.all(Hop)} == {"SETTLED"}
    with pytest.raises(ActRefused, match="họ tên người"):
        await closing.close(opened.house, "8184", " ")
    await closing.close(opened.house, "8184", "Chu Đức Anh")
    row = await opened.one(Campaign)
    assert (row.state, row.closed_by, row.closed_at) == ("CLOSED", "Chu Đức Anh", at("2023-12-01"))


async def test_a_campaign_stays_open_while_the_last_rung_was_not_told_of_somebody(outside: Town) -> None:
    await outside.until("2023-12-21", "18:00")
    with pytest.raises(ActRefused, match="cấp cuối"):
        await closing.close(outside.house, "8184", "Chu Đức Anh")
    await outside.until("2023-12-22", "09:00")
    await closing.close(outside.house, "8184", "Chu Đức Anh")
    assert (await outside.one(Campaign)).state == "CLOSED"


async def test_a_person_may_close_all_the_same_and_says_so(outside: Town) -> None:
    with pytest.raises(ActRefused):
        await closing.close(outside.house, "8184", "Chu Đức Anh")
    await closing.close(outside.house, "8184", "Chu Đức Anh", now_matter_what=True)
    assert (await outside.one(Campaign)).closed_by == "Chu Đức Anh"


@pytest.mark.parametrize("anyway", [False, True], ids=["in the ordinary way", "no matter what"])
async def test_a_held_campaign_goes_on_before_it_is_closed(opened: Town, anyway: bool) -> None:
    """Its mail would be held for ever, and the report to the city with it (found by seeds 283 and 422)."""
    await everybody_answers(opened)
    await campaigns.hold(opened.house, "8184", "An")
    with pytest.raises(ActRefused, match="cho tiếp tục rồi kết thúc"):
        await closing.close(opened.house, "8184", "Chu Đức Anh", now_matter_what=anyway)
    await campaigns.resume(opened.house, "8184", "An")
    await closing.close(opened.house, "8184", "Chu Đức Anh", now_matter_what=anyway)
    assert (await opened.one(Campaign)).state == "CLOSED"


async def waiting_replacement(town: Town, monkeypatch: pytest.MonkeyPatch) -> str:
    """The Board's letter is to be replaced, and the clerk has not issued the new one; its id."""

    async def nobody(*_: object) -> None:
        return None

    with monkeypatch.context() as away:
        away.setattr(amending, "play_issue", nobody)
        old = await town.letter("BQL")
        words = PLAN.letter.model_copy(update={"subject": "bảo đảm an ninh, trật tự (thay thế)"})
        return await amending.replace(town.house, old.id, words, "Chu Đức Anh", "sai thời gian cao điểm")


async def test_a_campaign_is_not_closed_while_a_letter_is_to_be_replaced(
    opened: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever got the new letter after the closing would owe an answer that nobody asks for (seeds 129 and 177)."""
    await everybody_answers(opened)
    new = await waiting_replacement(opened, monkeypatch)
    with pytest.raises(ActRefused, match="thay thế đang chờ ban hành"):
        await closing.close(opened.house, "8184", "Chu Đức Anh")
    await letters.play_issue(opened.house, new, "Văn thư")
    await opened.work()
    with pytest.raises(ActRefused, match="cấp cuối"):
        await closing.close(opened.house, "8184", "Chu Đức Anh")


async def test_closed_no_matter_what_a_replacement_is_dropped_and_cannot_be_issued_any_more(
    opened: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    await everybody_answers(opened)
    new = await waiting_replacement(opened, monkeypatch)
    await closing.close(opened.house, "8184", "Chu Đức Anh", now_matter_what=True)
    assert next(row.state for row in await opened.all(Letter) if row.id == new) == "CANCELLED"
    # As where the clerk and the one who closes act in the same moment.
    async with opened.house.store.act() as ledger:
        row = await ledger.get(Letter, new)
        await ledger.change(Letter, Letter.id == new, state="PENDING_ISSUE", awaits="VT", awaits_until=row.created_at)
    with pytest.raises(ActRefused, match="đã kết thúc"):
        await letters.play_issue(opened.house, new, "Văn thư")
    assert (await opened.letter("BQL")).state == "ISSUED"


async def test_a_replacement_that_lay_with_the_signer_for_long_gives_everybody_time(
    opened: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its date was drafted long ago: by it everybody would be late, and told of, before the letter leaves."""
    new = await waiting_replacement(opened, monkeypatch)
    await opened.until("2024-01-08", "09:00")
    cases = {one.id for one in await opened.all(Case)}
    await letters.play_issue(opened.house, new, "Văn thư")
    await opened.work()
    row = await opened.delivery("T1" if (await opened.delivery("T1")).due_at else "T-OUT")
    assert row.due_at > opened.clock._now
    assert (row.escalated_at, row.state) == (None, "SENT")
    assert {one.id for one in await opened.all(Case)} == cases
    assert (await opened.hop("BQL")).due_at >= row.due_at


async def test_closing_twice_is_closing_once(opened: Town) -> None:
    await everybody_answers(opened)
    first = await closing.close(opened.house, "8184", "Chu Đức Anh")
    assert await closing.close(opened.house, "8184", "Người khác") == first
    assert (await opened.one(Campaign)).closed_by == "Chu Đức Anh"
    assert len(await opened.all(Letter, Letter.kind == "report")) == 1


async def test_late_answers_are_accepted_after_the_closing(outside: Town) -> None:
    await outside.until("2023-12-22", "09:00")
    await closing.close(outside.house, "8184", "Chu Đức Anh")
    receipt = await outside.say("T-OUT")
    assert (receipt.state, receipt.late) == (State.ACKNOWLEDGED, True)
    assert [case.closed_why for case in await outside.cases("T-OUT")] == ["acknowledged"]


async def test_after_the_closing_nobody_is_reminded_and_nobody_told(outside: Town) -> None:
    await closing.close(outside.house, "8184", "Chu Đức Anh", now_matter_what=True)
    await outside.until("2023-12-31")
    assert await outside.diary("reminder", "overdue") == []


async def test_after_the_closing_no_rung_is_told_of_an_open_case_any_more(outside: Town) -> None:
    await outside.until("2023-12-12", "09:00")
    assert [case.kind for case in await outside.cases("T-OUT")] == ["silent"]
    before = await outside.diary("digest", "urge")
    await closing.close(outside.house, "8184", "Chu Đức Anh", now_matter_what=True)
    await outside.until("2024-01-31")
    assert await outside.diary("digest", "urge") == before
    (case,) = await outside.cases("T-OUT")
    assert (case.closed_at, case.tell_at) == (None, None)


async def test_a_refusal_after_the_closing_is_told_to_the_first_rung_and_climbs_no_further(outside: Town) -> None:
    await closing.close(outside.house, "8184", "Chu Đức Anh", now_matter_what=True)
    row = await outside.delivery("T-OUT")
    refused = Answer(Event.REJECTED, "Trần Thị Mẫu", "Văn thư", reason="không thuộc đối tượng", segment_ticked=True)
    await answer(outside.house, row.id, refused, await outside.link("T-OUT"))
    assert [case.kind for case in await outside.cases("T-OUT")] == ["rejected"]
    await outside.until("2024-01-31")
    assert await outside.diary("digest") == ["01/12 08:00 QHXD digest"]


async def test_a_letter_that_urges_is_not_issued_after_the_closing(
    outside: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nobody(*_: object) -> None:
        return None

    monkeypatch.setattr(telling, "play_issue", nobody)
    await outside.until("2023-12-12", "09:00")
    (urge,) = await outside.all(Letter, Letter.kind == "urge")
    assert urge.state == "PENDING_ISSUE"
    await closing.close(outside.house, "8184", "Chu Đức Anh", now_matter_what=True)
    assert (await outside.one(Letter, Letter.id == urge.id)).state == "CANCELLED"
    # As where the clerk and the one who closes act in the same moment.
    async with outside.house.store.act() as ledger:
        again = {"awaits": urge.awaits, "awaits_until": urge.awaits_until}
        await ledger.change(Letter, Letter.id == urge.id, state="PENDING_ISSUE", **again)
    with pytest.raises(ActRefused, match="đã kết thúc"):
        await letters.play_issue(outside.house, urge.id, "Văn thư")
    await outside.work()
    assert await outside.diary("urge") == []


# ------------------------------------------------------------------------------------ the report


async def test_the_report_leaves_only_after_it_is_issued(opened: Town) -> None:
    await everybody_answers(opened)
    letter_id = await closing.close(opened.house, "8184", "Chu Đức Anh")
    await opened.until("2023-12-05", "09:00")
    (letter,) = await opened.all(Letter, Letter.kind == "report")
    assert (letter.state, letter.awaits) == ("PENDING_ISSUE", "QHXD")
    assert await opened.diary("report") == []
    await letters.issue(opened.house, letter_id, letters.Issued("31", date(2023, 12, 5), "Văn thư"))
    await opened.work()
    assert await opened.diary("report") == ["05/12 09:00 UBND-HP report"]
    assert len(opened.postbox.to(address("UBND-HP"))) == 1, "and the copy of the letter left before this story"


async def test_the_report_names_who_has_not_answered(outside: Town) -> None:
    await outside.until("2023-12-22", "09:00")
    letter_id = await closing.close(outside.house, "8184", "Chu Đức Anh")
    letter = await outside.one(Letter, Letter.id == letter_id)
    context = letter.sheet["context"]
    done = "đã nhắc 3 lần; đã đôn đốc 2 lần; đã báo cáo Tổ chức QHXD, Tổ chức PTB"
    assert context["silent"] == [["1", "Tổ chức T-OUT", "–", "chưa xác nhận", done]]
    counts = {key: number for key, number in context["counts"].items() if number and key != "name"}
    assert counts == {"total": 2, "asked": 2, "done": 1, "silent": 1}


async def test_the_report_says_what_was_never_sent(opened: Town) -> None:
    for code in ("INV-A", "INV-B"):
        row = await opened.delivery(code)
        await deliveries.exempt(opened.house, row.id, "QHXD", "đang giải thể")
    letter_id = await closing.close(opened.house, "8184", "Chu Đức Anh", now_matter_what=True)
    letter = await opened.one(Letter, Letter.id == letter_id)
    said = {line[1]: line[3] for line in letter.sheet["context"]["silent"]}
    assert said["Tổ chức T1"] == "chưa được gửi đến"
    assert said["Tổ chức VP"] != "chưa được gửi đến"


# ------------------------------------------------------------------------------------ figures


async def mixed(town: Town) -> None:
    """Some of everything."""
    await town.pass_on("INV-A")
    await town.work()
    await town.say("T1")
    await town.say("T2", Event.REJECTED, reason="Nhầm")
    await town.until("2023-12-12", "09:00")
    await town.say("T-OUT")
    await deliveries.exempt(town.house, (await town.delivery("T-CHEM")).id, "QHXD", "đã báo cáo bằng giấy")
    await town.work()


async def test_totals_agree_with_the_rows_everywhere(opened: Town) -> None:
    await mixed(opened)
    rows = await opened.all(Delivery)
    states = Counter(row.state for row in rows)
    done = [row for row in rows if settled(State(row.state), Settles(row.settles))]
    (told,) = (await figures.status(opened.house))["campaigns"]
    totals = told["totals"]
    assert {name: totals[name] for name in states} == states
    assert totals["total"] == len(rows)
    assert totals["settled"] == len(done)
    assert totals["late"] == sum(row.late for row in rows) == 1
    assert totals["escalated"] == sum(row.escalated_at is not None for row in rows)
    listed = await figures.deliveries(opened.house, "8184")
    assert Counter(one["state"] for one in listed) == states
    by_hop = Counter(dict.fromkeys(states, 0))
    for hop in told["hops"]:
        by_hop.update({name: number for name, number in hop["totals"].items() if name in states})
    assert by_hop == states, "every obligation is carried by one hop"


async def test_a_branch_counts_everybody_on_its_ways(opened: Town) -> None:
    await mixed(opened)
    async with opened.house.store.view() as ledger:
        campaign = await ledger.get(Campaign, opened.campaign)
        branches = {one["issuer"]: one for one in await figures.branches(ledger, campaign)}
    assert {issuer: (one["total"], one["answered"]) for issuer, one in branches.items()} == {
        "BQL": (5, 2), "INV-A": (4, 1), "INV-B": (2, 0),
    }  # fmt: skip


async def test_nobody_on_the_route_is_forgotten(opened: Town) -> None:
    await mixed(opened)
    await opened.until("2024-01-05")
    for row in await opened.all(Delivery):
        done = settled(State(row.state), Settles(row.settles))
        told = [case for case in await opened.cases(row.recipient) if case.closed_at is None and case.rung >= 1]
        assert done or told, row.recipient


# ------------------------------------------------------------------------------------ the log


async def test_the_log_explains_every_state_and_its_chain_holds(opened: Town) -> None:
    await mixed(opened)
    for row in await opened.all(Delivery):
        events = sorted(await opened.all(EventRow, EventRow.stream == row.id), key=lambda event: event.seq)
        head = ""
        for number, event in enumerate(events, 1):
            assert event.seq == number
            entry = Entry(event.kind, event.data, event.actor, event.channel)
            head = chain_hash(head, row.id, number, event.at, entry)
            assert head == event.hash, (row.recipient, event.kind)
        assert (row.event_seq, row.event_head) == (len(events), head)
        assert replay([event.kind for event in events], events[0].data["state"]) == row.state


def replay(kinds: list[str], first: str) -> str:
    """The state that the log tells."""
    state = State(first)
    for kind in kinds:
        if kind in set(Event):
            state = advance(state, Event(kind))
    return state


async def test_no_mail_of_a_campaign_left_without_its_line_in_the_log(opened: Town) -> None:
    await mixed(opened)
    for row in await opened.all(Delivery):
        sent = await opened.all(Message, Message.delivery_id == row.id, Message.state == "SENT")
        noted = [
            event.data.get("message")
            for event in await opened.all(EventRow, EventRow.stream == row.id)
            if event.kind in ("sent", "reminded", "noted")
        ]
        assert sorted(str(one) for one in noted) == sorted(message.message_id for message in sent)


async def test_two_campaigns_at_once_do_not_touch_each_other(town: Town) -> None:
    first = await town.launch(audience=to("T-OUT"))
    second = await town.launch(code="8185", audience=to("VP"))
    await town.work()
    await town.say("BQL")
    await town.work()
    assert await town.diary("letter") == ["01/12 08:00 VP letter"]
    town.campaign = first
    assert (await town.delivery("BQL")).state == State.SENT
    await campaigns.hold(town.house, "8184", "PTB")
    town.campaign = second
    await town.say("VP")
    await town.work()
    assert (await town.hop("BQL")).state == "SETTLED"
    assert (await town.one(Campaign, Campaign.id == first)).held_by == "PTB"
