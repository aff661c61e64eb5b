"""What changes under way: a campaign stands still, letters are taken back, replaced and corrected, terms grow."""

from __future__ import annotations

from pathlib import Path

import pytest

from congvan.acts import amending, campaigns, deliveries, extending, letters, pausing, recalls
from congvan.acts.confirmations import Answer, answer
from congvan.acts.frozen import plan_of
from congvan.errors import ActRefused, BadInput, LinkRevoked
from congvan.house import House
from congvan.rules.protocol import Event, State
from congvan.rules.records import Changes, LetterText
from congvan.store.tables import Campaign, Case, EventRow, Letter, Message
from tests.conftest import at, text_of
from tests.protocol.test_issue import drawn, entered, go_live
from tests.protocol.world import PLAN, Town, address
from tests.signing import signed

BY = "Chu Đức Anh"
NEW_WORDS = PLAN.letter.model_copy(update={"subject": "bảo đảm an ninh, trật tự Tết Nguyên đán (thay thế)"})


async def board_letter(town: Town) -> Letter:
    """The Board's letter as it stands in its hop."""
    return await town.letter("BQL")


async def pause(town: Town, why: str = "chờ ý kiến Thành phố") -> int:
    """The campaign stands still."""
    return await pausing.pause(town.house, town.campaign, BY, why)


# ------------------------------------------------------------------------------------ paused


async def test_a_pause_of_three_working_days_moves_term_reminders_and_escalation_by_three(outside: Town) -> None:
    await outside.until("2023-12-05", "10:00")
    assert await pause(outside) == 1
    await outside.until("2023-12-08", "10:00")
    await campaigns.resume(outside.house, outside.campaign, BY)
    assert (await outside.delivery("T-OUT")).due_at == at("2023-12-13", "17:00")
    await outside.until("2023-12-31")
    assert await outside.diary(to=("T-OUT", "QHXD")) == [
        "01/12 08:00 T-OUT letter",
        "05/12 10:00 T-OUT pause",
        "08/12 10:00 T-OUT resume",
        "11/12 08:00 T-OUT reminder",
        "13/12 08:00 T-OUT reminder",
        "14/12 08:00 T-OUT overdue",
        "15/12 08:00 QHXD digest",
        "15/12 08:00 T-OUT urge",
        "21/12 08:00 T-OUT urge",
        "29/12 07:30 QHXD issue_wanted",
    ]


async def test_the_log_says_that_the_clocks_stood_still_and_how_far_they_moved(outside: Town) -> None:
    await outside.until("2023-12-05", "10:00")
    await pause(outside)
    await outside.until("2023-12-06", "15:00")
    await campaigns.resume(outside.house, outside.campaign, BY)
    events = await outside.all(EventRow, EventRow.stream == outside.campaign)
    said = {event.kind: event for event in events}
    assert (said["paused"].actor, said["paused"].data["why"]) == (BY, "chờ ý kiến Thành phố")
    # A day and a half are two days: nobody loses an hour, and the hour of the day stays.
    assert said["resumed"].data["working_days"] == 2
    row = await outside.delivery("T-OUT")
    (moved,) = await outside.all(EventRow, EventRow.stream == row.id, EventRow.kind == "moved")
    assert moved.data | {"from": ""} == {
        "from": "", "to": at("2023-12-12", "17:00").isoformat(), "why": "paused", "working_days": 2,
    }  # fmt: skip


async def test_both_notices_name_the_old_and_the_new_term_and_the_reason(outside: Town) -> None:
    await outside.until("2023-12-05", "10:00")
    await pause(outside)
    await outside.until("2023-12-06", "10:00")
    await campaigns.resume(outside.house, outside.campaign, BY)
    await outside.work()
    stopped, resumed = [text_of(mail) for mail in outside.postbox.to(address("T-OUT"))]
    assert "chờ ý kiến Thành phố" in stopped
    assert "17 giờ 00 ngày 08/12/2023" in stopped
    assert "Thời hạn mới: trước 17 giờ 00 ngày 11/12/2023" in resumed


async def test_an_answer_during_the_pause_is_never_late(outside: Town) -> None:
    await outside.until("2023-12-08", "09:00")
    await pause(outside)
    await outside.until("2023-12-20", "09:00")
    receipt = await outside.say("T-OUT")
    assert not receipt.late
    await campaigns.resume(outside.house, outside.campaign, BY)
    await outside.until("2023-12-31")
    assert await outside.diary("resume", "overdue", "digest") == []


async def test_a_pause_over_a_weekend_moves_nothing_and_disturbs_nobody(outside: Town) -> None:
    await outside.until("2023-12-02", "10:00")
    await pause(outside)
    await outside.until("2023-12-03", "20:00")
    await campaigns.resume(outside.house, outside.campaign, BY)
    await outside.until("2023-12-06")
    assert (await outside.delivery("T-OUT")).due_at == at("2023-12-08", "17:00")
    assert await outside.diary(to=("T-OUT",)) == ["01/12 08:00 T-OUT letter", "06/12 08:00 T-OUT reminder"]


async def test_a_case_climbs_no_rung_while_the_campaign_stands_still(outside: Town) -> None:
    await outside.until("2023-12-12", "09:00")
    await pause(outside)
    await outside.until("2023-12-20", "09:00")
    await campaigns.resume(outside.house, outside.campaign, BY)
    await outside.until("2023-12-31")
    # Without the pause the deputy head is told on the 15th.
    assert await outside.diary("digest") == ["12/12 08:00 QHXD digest", "25/12 08:00 PTB digest"]


async def test_an_investor_may_pass_on_during_the_pause_and_the_letter_leaves_after_it(opened: Town) -> None:
    await pause(opened)
    await opened.pass_on("INV-A")
    await opened.until("2023-12-05", "08:00")
    assert await opened.diary("letter", to=("T1",)) == []
    await campaigns.resume(opened.house, opened.campaign, BY)
    await opened.work()
    assert await opened.diary("letter", to=("T1",)) == ["05/12 08:00 T1 letter"]


async def test_a_letter_that_is_passed_on_during_a_long_pause_gives_those_below_their_own_time(opened: Town) -> None:
    """Else its date has passed before it leaves, and everybody is told of at once."""
    await pause(opened)
    t1 = await opened.delivery("T1")
    how = {"by_hand": {t1.id: "biên bản ngày 04/12"}, "how": "meeting"}
    await opened.pass_on("INV-A", **how)
    reached = await opened.delivery("T1")
    await opened.until("2023-12-28", "08:00")
    await campaigns.resume(opened.house, opened.campaign, BY)
    await opened.work()
    assert "letter" in " ".join(await opened.diary(to=("T2",)))
    for code in ("T1", "T2", "T-CHEM"):
        assert (await opened.delivery(code)).due_at > opened.clock._now, code
    assert reached.due_at is not None
    assert await opened.all(Case) == []


async def test_a_hold_keeps_the_mail_back_and_moves_no_term(outside: Town) -> None:
    await outside.until("2023-12-05", "10:00")
    await campaigns.hold(outside.house, outside.campaign, BY)
    await outside.until("2023-12-07", "10:00")
    await campaigns.resume(outside.house, outside.campaign, BY)
    await outside.work()
    assert (await outside.delivery("T-OUT")).due_at == at("2023-12-08", "17:00")
    assert await outside.diary("reminder") == ["07/12 10:00 T-OUT reminder"]


async def test_a_pause_needs_a_reason_and_comes_once(outside: Town) -> None:
    with pytest.raises(ActRefused, match="lý do"):
        await pause(outside, " ")
    assert await pause(outside) == 1
    assert await pause(outside) == 0


# ------------------------------------------------------------------------------------ more time


async def test_everybody_of_one_level_gets_more_time_and_a_notice_each(opened: Town) -> None:
    await opened.say("INV-A")
    await opened.until("2023-12-05", "09:00")
    counts = await extending.extend_many(
        opened.house, "8184", at("2023-12-15", "17:00"), BY, "bão số 5", extending.Whom(level="investor")
    )
    await opened.work()
    assert dict(counts) == {"extended": 2}
    assert await opened.diary("extension") == ["05/12 09:00 INV-A extension", "05/12 09:00 INV-B extension"]
    assert (await opened.delivery("T-OUT")).due_at == at("2023-12-08", "17:00")


async def test_more_time_for_all_leaves_out_who_has_answered_and_whose_way_is_shut(opened: Town) -> None:
    await opened.say("T-OUT")
    counts = await extending.extend_many(opened.house, "8184", at("2023-12-15", "17:00"), BY, "bão số 5")
    # INV-A, INV-B and VP; the Board and T-OUT have answered, QHXD is exempt; five tenants wait below.
    assert dict(counts) == {"extended": 3, "settled": 3, "not_open": 5}
    # A passing-on after this counts with the new date.
    await opened.until("2023-12-07", "09:00")
    await opened.pass_on("INV-A")
    await opened.work()
    assert (await opened.delivery("T1")).due_at == at("2023-12-15", "17:00")


async def test_whose_park_is_flooded_gets_more_time(opened: Town) -> None:
    await opened.pass_on("INV-A")
    await opened.pass_on("INV-B")
    await opened.work()
    whom = extending.Whom(park="P1")
    counts = await extending.extend_many(opened.house, "8184", at("2023-12-15", "17:00"), BY, "ngập", whom)
    assert counts["extended"] == 4
    assert (await opened.delivery("T3")).due_at == at("2023-12-08", "17:00")


# ------------------------------------------------------------------------------------ let go


async def test_who_is_exempted_is_told_so_with_the_reason(opened: Town) -> None:
    await opened.until("2023-12-05", "09:00")
    row = await opened.delivery("T-OUT")
    await deliveries.exempt(opened.house, row.id, BY, "doanh nghiệp đã ngừng hoạt động")
    await opened.until("2023-12-31")
    assert await opened.diary(to=("T-OUT",)) == ["01/12 08:00 T-OUT letter", "05/12 09:00 T-OUT exemption"]
    text = text_of(opened.postbox.to(address("T-OUT"))[-1])
    assert "doanh nghiệp đã ngừng hoạt động" in text


async def test_who_has_the_letter_taken_back_is_told_so_and_the_old_link_opens_nothing(opened: Town) -> None:
    old = await opened.link("T-OUT")
    row = await opened.delivery("T-OUT")
    await deliveries.withdraw(opened.house, row.id, BY, "gửi nhầm")
    await opened.work()
    assert (await opened.diary(to=("T-OUT",)))[-1] == "01/12 08:00 T-OUT withdrawal"
    with pytest.raises(LinkRevoked):
        await answer(opened.house, row.id, Answer(Event.ACKNOWLEDGED), old)


async def test_whose_letter_is_taken_back_while_his_own_is_drafted_opens_nothing(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    await town.launch()
    await town.work()
    await town.say("BQL")
    drafted = letters.submit

    async def meanwhile(house: House, hop_id: str) -> Letter:
        letter = await drafted(house, hop_id)
        await deliveries.withdraw(house, (await town.delivery("BQL")).id, "Lan", "gửi nhầm")
        return letter

    monkeypatch.setattr(letters, "submit", meanwhile)
    await town.work()
    assert (await town.hop("BQL")).opened_at is None
    assert await town.states("BQL", "T-OUT") == {"BQL": State.WITHDRAWN, "T-OUT": State.QUEUED}


async def test_who_never_got_the_letter_is_not_told_that_it_is_taken_back(opened: Town) -> None:
    row = await opened.delivery("T1")
    await deliveries.withdraw(opened.house, row.id, BY, "không còn ở khu này")
    await opened.work()
    assert await opened.diary(to=("T1",)) == []


# ------------------------------------------------------------------------------------ taken back


async def test_a_recall_reaches_everybody_who_got_the_letter_and_ends_every_obligation(opened: Town) -> None:
    await opened.say("T-OUT")
    await opened.pass_on("INV-A")
    await opened.until("2023-12-05", "09:00")
    asked = await recalls.recall(opened.house, (await board_letter(opened)).id, BY, "sai căn cứ")
    await opened.until("2023-12-31")
    told = {"INV-A", "INV-B", "T1", "T2", "T-CHEM", "T-BOTH", "T-OUT", "VP"}
    assert asked == len(told)
    lines = await opened.diary("recall")
    assert {line.split()[2] for line in lines} == told | {"UBND-HP", "TB", "PTB"}, "and who got it for information"
    assert {line[:11] for line in lines} == {"05/12 09:00"}
    assert await opened.diary("reminder", "overdue", "digest") == []
    assert await opened.states("T1", "T-OUT", "T3") == {"T1": "WITHDRAWN", "T-OUT": "WITHDRAWN", "T3": "WITHDRAWN"}
    letter = await board_letter(opened)
    assert letter.state == "CANCELLED"


async def test_who_is_asked_to_give_it_back_agrees_or_refuses_with_a_reason(opened: Town) -> None:
    await recalls.recall(opened.house, (await board_letter(opened)).id, BY, "sai căn cứ")
    agreed, refused = await opened.delivery("T-OUT"), await opened.delivery("INV-A")
    assert (agreed.recall, refused.recall) == ("requested", "requested")
    await recalls.answer(opened.house, agreed.id, agreed=True, by="QHXD")
    with pytest.raises(ActRefused, match="lý do"):
        await recalls.answer(opened.house, refused.id, agreed=False, by="QHXD")
    await recalls.answer(opened.house, refused.id, agreed=False, by="QHXD", why="đã lưu hồ sơ thanh tra")
    assert (await opened.log("T-OUT"))[-1] == "recall_agreed"
    assert (await opened.log("INV-A"))[-1] == "recall_refused"
    (last,) = await opened.all(EventRow, EventRow.stream == refused.id, EventRow.kind == "recall_refused")
    assert last.data == {"code": "16", "why": "đã lưu hồ sơ thanh tra"}


async def test_only_an_issued_letter_is_taken_back_once(opened: Town) -> None:
    letter = await board_letter(opened)
    await recalls.recall(opened.house, letter.id, BY, "sai căn cứ")
    with pytest.raises(ActRefused):
        await recalls.recall(opened.house, letter.id, BY, "sai căn cứ")
    draft = await opened.letter("INV-A")
    with pytest.raises(ActRefused):
        await recalls.recall(opened.house, draft.id, BY, "nháp")


# ------------------------------------------------------------------------------------ replaced


async def replaced(town: Town, words: LetterText = NEW_WORDS) -> Letter:
    """The Board's letter is replaced; in an exercise the clerk's hand is played."""
    made = await amending.replace(town.house, (await board_letter(town)).id, words, BY, "sai thời gian cao điểm")
    await town.work()
    row: Letter = await town.one(Letter, Letter.id == made)
    return row


async def test_the_new_letter_cites_the_old_and_both_stand_in_the_list(opened: Town) -> None:
    await opened.until("2023-12-05", "09:00")
    old = await board_letter(opened)
    new = await replaced(opened)
    assert (new.state, (await opened.one(Letter, Letter.id == old.id)).state) == ("ISSUED", "REPLACED")
    assert f"Công văn này thay thế Công văn số {old.symbol} ngày 01/12/2023" in new.html
    assert (await board_letter(opened)).id == new.id
    assert new.number == (old.number or 0) + 1


async def test_new_words_against_the_form_are_refused_as_a_launch_refuses_them_and_the_old_letter_stands(
    opened: Town,
) -> None:
    old = await board_letter(opened)
    words = NEW_WORDS.model_copy(update={"subject": "V/v bảo đảm an ninh", "confirmation": "Trước {{ hạn }}."})
    with pytest.raises(BadInput) as error:
        await amending.replace(opened.house, old.id, words, BY, "sai", source="moi.yaml", lines={"letter.subject": 7})
    found = {fault.field: (fault.file, fault.row) for fault in error.value.faults}
    assert found == {"letter.subject": ("moi.yaml", 7), "letter.confirmation": ("moi.yaml", None)}
    assert len(await opened.all(Letter, Letter.kind == old.kind)) == 1


async def test_who_confirmed_the_old_confirms_the_new_by_its_own_date(opened: Town) -> None:
    await opened.say("T-OUT")
    await opened.until("2023-12-05", "09:00")
    await replaced(opened)
    row = await opened.delivery("T-OUT")
    assert (row.state, row.due_at, row.confirmed_at) == (State.SENT, at("2023-12-12", "17:00"), None)
    await opened.until("2023-12-08", "08:00")
    assert await opened.diary(to=("T-OUT",)) == [
        "01/12 08:00 T-OUT letter", "05/12 09:00 T-OUT replacement", "08/12 08:00 T-OUT reminder",
    ]  # fmt: skip
    receipt = await opened.say("T-OUT")
    assert (receipt.state, receipt.late) == (State.ACKNOWLEDGED, False)
    assert await opened.log("T-OUT") == [
        "created", "opened", "sent", "acknowledged", "segment_confirmed", "replaced", "sent", "reminded",
        "acknowledged", "segment_confirmed",
    ]  # fmt: skip


async def test_the_new_letter_goes_to_tenants_past_the_investor_who_passed_on_the_old(opened: Town) -> None:
    await opened.pass_on("INV-A")
    await opened.work()
    await opened.say("T1")
    await opened.until("2023-12-05", "09:00")
    new = await replaced(opened)
    assert await opened.diary("replacement", to=("INV-A", "T1", "T2", "T3")) == [
        "05/12 09:00 INV-A replacement", "05/12 09:00 T1 replacement", "05/12 09:00 T2 replacement",
    ]  # fmt: skip
    mail = opened.postbox.to(address("T1"))[-1]
    assert new.symbol in str(mail["Subject"])
    assert next(part.get_filename() for part in mail.iter_attachments()) == f"{new.symbol.replace('/', '_')}.pdf"
    # What lies below him has it; he only acknowledges the new one.
    assert (await opened.delivery("INV-A")).settles == "acknowledge"
    await opened.say("INV-A")
    assert (await opened.delivery("INV-A")).settled_at is not None


async def test_who_has_not_passed_on_yet_passes_the_new_letter_on(opened: Town) -> None:
    await opened.until("2023-12-05", "09:00")
    new = await replaced(opened)
    draft = await opened.letter("INV-A")
    assert new.symbol in draft.html
    await opened.pass_on("INV-A")
    await opened.work()
    names = [part.get_filename() for part in opened.postbox.to(address("T1"))[-1].iter_attachments()]
    assert f"{new.symbol.replace('/', '_')}.pdf" in names
    assert len([name for name in names if name.endswith("BQL-QHXD.pdf")]) == 1, "the old one is enclosed no more"


async def by_night(town: Town) -> None:
    """The Board's letter is issued in the evening: it waits for the next working morning."""
    await town.launch()
    await town.work()
    await town.until("2023-12-01", "20:00")
    await town.say("BQL")
    await town.work()
    waiting = await town.all(Message, Message.recipient.in_(("T-OUT", "TB")), Message.state == "QUEUED")
    assert {one.kind for one in waiting} == {"letter", "copy"}


async def test_who_was_never_sent_the_old_letter_gets_only_the_new_one(town: Town) -> None:
    await by_night(town)
    await replaced(town)
    await town.until("2023-12-05", "09:00")
    lines = await town.diary("letter", "copy", "replacement", to=("T-OUT", "TB"))
    assert [line.split()[2:] for line in lines] == [["T-OUT", "replacement"], ["TB", "replacement"]]
    assert (await town.delivery("T-OUT")).state == State.SENT


async def test_an_old_letter_that_comes_back_to_the_queue_after_its_replacement_stays_here(town: Town) -> None:
    await by_night(town)
    mine = Message.recipient == "T-OUT", Message.kind == "letter"
    async with town.house.store.act() as ledger:
        # On the wire while it is replaced; then the server says "not now".
        await ledger.change(Message, *mine, state="CLAIMED", lease_until=at("2030-01-01"), lease_owner="another")
    await replaced(town)
    async with town.house.store.act() as ledger:
        await ledger.change(Message, *mine, state="QUEUED", lease_until=None, lease_owner=None)
    await town.until("2023-12-05", "09:00")
    assert await town.diary("letter", "replacement", to=("T-OUT",)) == ["04/12 07:30 T-OUT replacement"]


async def test_who_stands_in_the_distribution_list_of_a_recalled_letter_that_never_left_gets_nothing(
    town: Town,
) -> None:
    await by_night(town)
    await recalls.recall(town.house, (await board_letter(town)).id, BY, "sai căn cứ")
    await town.until("2023-12-05", "09:00")
    assert await town.diary("copy", "recall") == []


async def test_where_the_plan_says_so_answers_to_the_old_letter_stand(town: Town) -> None:
    await town.launch(changes=Changes(confirm_replacement=False))
    await town.work()
    await town.say("BQL")
    await town.work()
    await town.say("T-OUT")
    await town.until("2023-12-05", "09:00")
    await replaced(town)
    row = await town.delivery("T-OUT")
    assert (row.state, row.settled_at) == (State.ACKNOWLEDGED, at("2023-12-01", "08:00"))
    assert "không phải trả lời lại" in text_of(town.postbox.to(address("T-OUT"))[-1])
    # Who had not answered owes the answer to the new letter.
    assert (await town.delivery("VP")).due_at == at("2023-12-12", "17:00")


async def test_a_recalled_letter_is_replaced_and_everybody_begins_anew(opened: Town) -> None:
    await opened.say("T-OUT")
    row = await opened.delivery("VP")
    await deliveries.withdraw(opened.house, row.id, BY, "đơn vị giải thể")
    await recalls.recall(opened.house, (await board_letter(opened)).id, BY, "sai căn cứ")
    await opened.until("2023-12-05", "09:00")
    await replaced(opened)
    assert await opened.states("T-OUT", "INV-A", "T1", "VP") == {
        "T-OUT": "SENT", "INV-A": "SENT", "T1": "QUEUED", "VP": "WITHDRAWN",
    }  # fmt: skip
    assert await opened.diary("replacement", to=("VP",)) == [], "who was let go alone is left in peace"
    await opened.pass_on("INV-A")
    await opened.work()
    assert (await opened.delivery("T1")).state == State.SENT, "the new letter comes down to those below"


async def test_who_was_never_sent_a_recalled_letter_gets_the_one_that_takes_its_place(town: Town) -> None:
    await by_night(town)
    await recalls.recall(town.house, (await board_letter(town)).id, BY, "sai căn cứ")
    with pytest.raises(ActRefused, match="không bị thu hồi"):
        await recalls.answer(town.house, (await town.delivery("T-OUT")).id, agreed=True, by="QHXD")
    await replaced(town)
    await town.until("2023-12-04", "09:00")
    assert await town.diary("letter", "replacement", to=("T-OUT",)) == ["04/12 07:30 T-OUT replacement"]


async def test_the_replacement_of_a_live_letter_waits_for_the_clerk_and_the_old_one_stands(
    town: Town, tmp_path: Path
) -> None:
    first = await go_live(town, tmp_path)
    await letters.issue(town.house, first.id, entered(signed(await drawn(town, first))))
    await town.work()
    made = await amending.replace(town.house, first.id, NEW_WORDS, BY, "sai thời gian cao điểm")
    await town.until("2023-12-05", "08:00")
    row = await town.one(Letter, Letter.id == made)
    assert (row.state, row.awaits) == ("PENDING_ISSUE", "VP")
    assert (await board_letter(town)).id == first.id
    assert await town.diary("issue_wanted") == ["05/12 07:30 VP issue_wanted"]
    with pytest.raises(ActRefused, match="đang chờ"):
        await amending.replace(town.house, first.id, NEW_WORDS, BY, "lần nữa")


# ------------------------------------------------------------------------------------ corrected


async def test_a_correction_goes_to_everybody_who_got_the_letter_and_changes_no_term(opened: Town) -> None:
    await opened.say("T-OUT")
    await opened.until("2023-12-05", "09:00")
    slips = [amending.Slip("ngày 29/11/2022", "ngày 29/11/2023")]
    made = await amending.correct(opened.house, (await board_letter(opened)).id, slips, BY)
    await opened.work()
    row = await opened.one(Letter, Letter.id == made)
    assert "“ngày 29/11/2022”; đính chính là: “ngày 29/11/2023”" in row.html
    told = {line.split()[2] for line in await opened.diary("correction")}
    assert told == {"BQL", "INV-A", "INV-B", "T-OUT", "VP", "UBND-HP", "TB", "PTB"} - {"BQL"}
    assert await opened.states("T-OUT", "INV-A") == {"T-OUT": "ACKNOWLEDGED", "INV-A": "SENT"}
    assert (await opened.delivery("INV-A")).due_at == at("2023-12-08", "17:00")
    assert (await board_letter(opened)).state == "ISSUED"


async def test_who_gets_the_corrected_letter_only_in_the_morning_gets_its_correction_too(town: Town) -> None:
    await by_night(town)
    slips = [amending.Slip("ngày 29/11/2022", "ngày 29/11/2023")]
    await amending.correct(town.house, (await board_letter(town)).id, slips, BY)
    await town.until("2023-12-05", "09:00")
    lines = await town.diary("letter", "correction", to=("T-OUT",))
    assert {line.split()[-1] for line in lines} == {"letter", "correction"}


async def test_a_company_corrects_its_own_letter_itself(opened: Town) -> None:
    await opened.pass_on("INV-A")
    await opened.work()
    letter = await opened.letter("INV-A")
    with pytest.raises(ActRefused, match="tự thay thế"):
        await amending.correct(opened.house, letter.id, [amending.Slip("a", "b")], BY)


async def test_the_words_of_a_replacement_are_those_of_every_later_letter(opened: Town) -> None:
    await replaced(opened)
    campaign = await opened.one(Campaign, Campaign.id == opened.campaign)
    assert plan_of(campaign).letter.subject == NEW_WORDS.subject
    assert campaign.subject == NEW_WORDS.subject
