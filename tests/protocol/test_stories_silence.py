"""Who is silent is reminded, then told of; who answers late is heard. One campaign by the calendar on the wall."""

from __future__ import annotations

import io
from collections.abc import Callable
from email.message import EmailMessage

import pytest
from python_calamine import CalamineWorkbook

from congvan.acts import campaigns, closing, deliveries, digest_mail, extending, figures, hops, outbox, steering
from congvan.errors import ActRefused
from congvan.mail.outgoing import Outcome, Outgoing
from congvan.rules.protocol import Event, State
from congvan.rules.records import Deadline, Policy, Release, Reminder, Urgency
from congvan.store.tables import Case, Digest, Message
from tests.conftest import Postbox, at, text_of
from tests.protocol.world import PLAN, Town, address, register, to

ONLY_OUTSIDE = to("T-OUT")


async def sent_out(town: Town, when: str = "2023-12-01", hour: str = "08:00", **changes: object) -> None:
    """The Board's letter has gone out at this hour."""
    town.clock.set(at(when, hour))
    await town.launch(**changes)  # type: ignore[arg-type]
    await town.work()
    await town.say("BQL")
    await town.work()


async def test_the_note_to_those_who_pass_on_reads_in_the_mail_as_in_the_letter(town: Town) -> None:
    note = "<p>(Đề nghị <b>Chủ đầu tư</b> chuyển trước {deadline})</p>"
    letter = PLAN.letter.model_copy(update={"note_to_intermediaries": note})
    await sent_out(town, letter=letter)
    (mail,) = town.postbox.to(address("INV-A"))
    for kind in ("plain", "html"):
        said = text_of(mail, kind)
        assert "(Đề nghị Chủ đầu tư chuyển trước 17 giờ 00 ngày 08/12/2023)" in said
        assert "&lt;b&gt;" not in said


def sheets(mail: EmailMessage) -> dict[str, list[list[object]]]:
    """The XLSX that a digest encloses."""
    (part,) = [one for one in mail.iter_attachments() if str(one.get_filename()).endswith(".xlsx")]
    book = CalamineWorkbook.from_filelike(io.BytesIO(part.get_payload(decode=True)))  # type: ignore[arg-type]
    return {name: book.get_sheet_by_name(name).to_python() for name in book.sheet_names}


def codes(rows: list[list[object]]) -> list[object]:
    """The recipients that a sheet lists, without its heading and the lines of the parks."""
    return [row[2] for row in rows[1:] if row[2]]


# ------------------------------------------------------------------------------------ the ordinary course


async def test_silence_is_reminded_two_days_before_on_the_day_and_one_day_after_then_told_of(outside: Town) -> None:
    await outside.until("2023-12-31")
    assert await outside.diary(to=("T-OUT", "QHXD")) == [
        "01/12 08:00 T-OUT letter",
        "06/12 08:00 T-OUT reminder",
        "08/12 08:00 T-OUT reminder",
        "11/12 08:00 T-OUT overdue",
        "12/12 08:00 QHXD digest",
        "12/12 08:00 T-OUT urge",
        "18/12 08:00 T-OUT urge",
        "26/12 07:30 QHXD issue_wanted",
    ]
    row = await outside.delivery("T-OUT")
    assert (row.state, row.reminders, row.escalated_at) == (State.SENT, 3, at("2023-12-11", "17:00"))
    assert await outside.log("T-OUT") == [
        "created", "opened", "sent", "reminded", "reminded", "reminded", "escalated", "told", "urged", "noted", "told",
        "urged", "noted", "told",
    ]  # fmt: skip


async def test_the_ladder_climbs_from_the_department_to_the_deputy_head_and_stops_before_the_city(
    outside: Town,
) -> None:
    await outside.until("2023-12-31")
    assert await outside.diary("digest") == ["12/12 08:00 QHXD digest", "15/12 08:00 PTB digest"]
    assert [(one.owner, str(one.day)) for one in await outside.all(Digest)] == [
        ("QHXD", "2023-12-12"), ("PTB", "2023-12-15"), ("UBND-HP", "2023-12-22"),
    ]  # fmt: skip
    # What is addressed to the City leaves only as an issued report; of what the Board issues it has copies.
    assert [line.rpartition(" ")[2] for line in await outside.diary(to=("UBND-HP",))] == ["copy"] * 3


async def test_who_has_answered_is_left_in_peace(outside: Town) -> None:
    await outside.until("2023-12-05")
    await outside.say("T-OUT")
    await outside.until("2023-12-31")
    assert await outside.diary("reminder", "overdue") == []
    assert await outside.cases("T-OUT") == []
    assert (await outside.delivery("T-OUT")).wake_at is None


async def test_an_investor_who_only_acknowledged_is_reminded_to_pass_on(opened: Town) -> None:
    await opened.say("INV-A")
    await opened.until("2023-12-06")
    assert await opened.diary("reminder", to=("INV-A",)) == ["06/12 08:00 INV-A reminder"]


async def test_reminders_stand_in_the_thread_of_the_letter(opened: Town) -> None:
    await opened.until("2023-12-11")
    mails = opened.postbox.to(address("T-OUT"))
    first = await opened.one(Message, Message.recipient == "T-OUT", Message.kind == "letter")
    assert len(mails) == 3, "the letter itself left before this story began"
    assert {str(mail["In-Reply-To"]).strip("<>") for mail in mails} == {first.message_id.strip("<>")}
    assert len({str(mail["Message-ID"]) for mail in mails}) == 3


# ------------------------------------------------------------------------------------ the digest


async def test_the_department_is_told_of_everybody_in_one_mail_with_one_workbook(town: Town) -> None:
    await sent_out(town, hour="09:00")
    await town.say("T-OUT", Event.REJECTED, reason="Không thuộc phạm vi")
    await town.until("2023-12-04", "08:00")
    assert await town.diary("digest") == ["04/12 08:00 QHXD digest"], "a refusal is told of the next morning"
    await town.until("2023-12-12")
    told = await town.diary("digest")
    assert told[-1] == "12/12 08:00 QHXD digest"
    assert len([line for line in told if line.startswith("12/12") and "QHXD" in line]) == 1
    book = sheets(town.postbox.to(address("QHXD"))[-1])
    assert list(book) == ["Quá hạn chưa xác nhận", "Gửi không thành công", "Từ chối tiếp nhận, trả lại"]
    silent = set(codes(book["Quá hạn chưa xác nhận"]))
    assert silent == {f"8184-{code}" for code in ("INV-A", "INV-B", "VP")}
    assert book["Gửi không thành công"][1:] == []


async def test_the_workbook_says_what_was_done_in_the_words_of_the_log(town: Town) -> None:
    town.postbox = Postbox(refuses(address("INV-B")))
    await sent_out(town, hour="09:00")
    await town.until("2023-12-12")
    first, last = (sheets(mail) for mail in town.postbox.to(address("QHXD"))[-2:])
    done = {row[2]: row[-1] for row in first["Gửi không thành công"] + last["Quá hạn chưa xác nhận"]}
    assert done["8184-INV-B"] == "01/12 gửi không thành công"
    assert done["8184-VP"] == "01/12 đã gửi; 06/12 nhắc việc; 08/12 nhắc việc; 11/12 nhắc việc; 11/12 báo cáo lên trên"


async def test_a_long_digest_lists_the_first_in_the_mail_and_everybody_in_the_workbook(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is longer than a hundred kilobytes is cut off by the reader's program; a national campaign has thousands."""
    monkeypatch.setattr(digest_mail, "LISTED", 2)
    await sent_out(town, hour="09:00")
    await town.until("2023-12-12")
    mail = town.postbox.to(address("QHXD"))[-1]
    in_the_workbook = codes(sheets(mail)["Quá hạn chưa xác nhận"])
    assert len(in_the_workbook) == 4
    for kind in ("plain", "html"):
        part = mail.get_body((kind,))
        assert part is not None
        words = part.get_content()
        assert sum(str(code) in words for code in in_the_workbook) == 2
        assert "Còn 2 đơn vị nữa trong tệp kèm theo." in words


async def test_each_delivery_names_the_digest_that_told_of_it(outside: Town) -> None:
    await outside.until("2023-12-12", "09:00")
    (case,) = await outside.cases("T-OUT")
    (digest,) = await outside.all(Digest)
    assert (case.digest_id, case.rung, digest.cases) == (digest.id, 1, 1)


async def test_silent_undeliverable_and_rejected_are_told_apart(town: Town) -> None:
    town.postbox = Postbox(refuses(address("INV-B")))
    await sent_out(town, hour="09:00")
    await town.say("T-OUT", Event.REJECTED, reason="Không thuộc phạm vi")
    await town.until("2023-12-04", "08:00")
    book = sheets(town.postbox.to(address("QHXD"))[-1])
    assert {name: codes(rows) for name, rows in book.items()} == {
        "Quá hạn chưa xác nhận": [],
        "Gửi không thành công": ["8184-INV-B"],
        "Từ chối tiếp nhận, trả lại": ["8184-T-OUT"],
    }
    await town.until("2023-12-31")
    assert [case.kind for case in await town.cases("INV-B")] == ["undeliverable"], "never counted as silent"
    assert await town.diary("reminder", "overdue", to=("INV-B", "T-OUT")) == []


async def test_a_department_gets_one_digest_a_day_over_all_campaigns(outside: Town) -> None:
    first = outside.campaign
    await sent_out(outside, code="8185", audience=to("VP"))
    await outside.until("2023-12-12", "18:00")
    assert await outside.diary("digest") == ["12/12 08:00 QHXD digest"]
    assert {case.campaign_id for case in await outside.all(Case)} == {first, outside.campaign}


async def test_a_second_round_on_the_same_morning_waits_for_the_next_working_day(town: Town) -> None:
    await sent_out(town, hour="07:40", audience=ONLY_OUTSIDE)
    await town.say("T-OUT", Event.REJECTED, reason="Không thuộc phạm vi")
    await town.until("2023-12-01", "08:00")
    assert await town.diary("digest") == ["01/12 08:00 QHXD digest"]
    # Still eight o'clock: another campaign is refused by the same tenant.
    await sent_out(town, hour="08:00", code="8185", audience=ONLY_OUTSIDE)
    await town.say("T-OUT", Event.REJECTED, reason="Không thuộc phạm vi")
    await town.until("2023-12-04", "08:00")
    assert await town.diary("digest") == ["01/12 08:00 QHXD digest", "04/12 08:00 QHXD digest"]


async def test_a_rung_never_consists_of_the_silent_party_alone(town: Town) -> None:
    # The deputy head's own office is a recipient, and silent.
    people = register()
    units = tuple(
        one.model_copy(update={"level": "unit"}) if one.code == "PTB" else one for one in people.organisations
    )
    await sent_out(town, people=people.model_copy(update={"organisations": units}), audience=to("PTB"))
    await town.until("2023-12-31")
    assert await town.diary("digest") == ["12/12 08:00 QHXD digest"]
    (case,) = [one for one in await town.cases("PTB") if one.kind == "silent"]
    assert case.rung == 3, "the rung of the silent party is passed by, the ladder goes on"


async def test_where_the_deadline_releases_the_hop_below_opens_then_without_a_word(town: Town) -> None:
    board = Policy(deadline=Deadline(working_days=2), release=Release.AT_DEADLINE)
    await town.launch(policies=PLAN.policies | {"board": board}, audience=ONLY_OUTSIDE)
    await town.until("2023-12-04")
    later = at("2023-12-06", "17:00")
    await extending.extend(town.house, (await town.delivery("BQL")).id, later, "Cán bộ", "xin thêm một ngày")
    await town.until("2023-12-06", "16:59")
    assert (await town.hop("BQL")).state == "WAITING"
    await town.until("2023-12-07")
    assert (await town.hop("BQL")).opened_at == later
    assert (await town.delivery("T-OUT")).state == State.SENT


async def in_a_storm(town: Town, *reminders: Reminder, grace_hours: int) -> None:
    """A flash letter of Saturday evening with a term of six hours."""
    storm = Policy(
        deadline=Deadline(working_days=0, hours=6, minimum_hours=1), reminders=reminders, grace_working_days=0,
        grace_hours=grace_hours, release=Release.ON_ACKNOWLEDGE,
    )  # fmt: skip
    await sent_out(
        town, "2023-12-02", "20:00", urgency=Urgency.FLASH, audience=ONLY_OUTSIDE,
        policies=dict.fromkeys(("board", "investor", "tenant"), storm),
    )  # fmt: skip


async def test_an_urgent_round_is_told_of_at_once(town: Town) -> None:
    await in_a_storm(town, Reminder(hours=-1), grace_hours=1)
    await town.until("2023-12-03", "05:00")
    assert await town.diary(to=("T-OUT", "QHXD")) == [
        "02/12 20:00 T-OUT letter",
        "03/12 01:00 T-OUT reminder",
        "03/12 03:00 QHXD digest",
        "03/12 03:00 T-OUT urge",
    ]


async def test_a_term_in_hours_is_told_in_hours_and_minutes(town: Town) -> None:
    await in_a_storm(town, Reminder(hours=-4), Reminder(hours=0), Reminder(hours=1), grace_hours=2)
    # A mail is written some seconds after its hour.
    for day, hour in (("2023-12-02", "22:00:20"), ("2023-12-03", "02:00:20"), ("2023-12-03", "03:30:20")):
        town.clock.set(at(day, hour))
        await town.work()
    _, *mails = town.postbox.to(address("T-OUT"))
    said = ["còn 4 giờ", "vừa hết hạn", "đã quá hạn 1 giờ 30 phút"]
    assert [str(mail["Subject"]).rpartition(": ")[2] for mail in mails] == said
    for mail, words in zip(mails, said, strict=True):
        for kind in ("plain", "html"):
            assert words[:1].upper() + words[1:] in text_of(mail, kind)


# ------------------------------------------------------------------------------------ late answers


async def test_a_late_answer_after_the_escalation_is_accepted_marked_late_and_closes_the_case(outside: Town) -> None:
    await outside.until("2023-12-13", "10:00")
    receipt = await outside.say("T-OUT")
    assert (receipt.state, receipt.late, receipt.again) == (State.ACKNOWLEDGED, True, False)
    (case,) = await outside.cases("T-OUT")
    assert (case.closed_at, case.closed_why, case.tell_at) == (at("2023-12-13", "10:00"), "acknowledged", None)
    await outside.until("2023-12-31")
    assert await outside.diary("digest") == ["12/12 08:00 QHXD digest"], "the deputy head need not be told any more"


async def test_an_answer_between_deadline_and_grace_is_late_and_nobody_is_told(outside: Town) -> None:
    await outside.until("2023-12-11", "16:59")
    assert (await outside.say("T-OUT")).late
    await outside.until("2023-12-31")
    assert await outside.cases("T-OUT") == []
    assert await outside.diary("digest") == []


async def test_an_answer_at_five_sharp_is_in_time(outside: Town) -> None:
    await outside.until("2023-12-08", "17:00")
    assert not (await outside.say("T-OUT")).late


async def test_nobody_is_told_of_before_deadline_and_grace(outside: Town) -> None:
    await outside.until("2023-12-11", "16:59")
    assert await outside.all(Case) == []
    await outside.until("2023-12-11", "17:00")
    assert [case.kind for case in await outside.all(Case)] == ["silent"]


async def test_an_answer_on_the_morning_of_the_digest_keeps_it_out_of_it(outside: Town) -> None:
    await outside.until("2023-12-12", "07:59")
    await outside.say("T-OUT")
    await outside.until("2023-12-31")
    assert await outside.diary("digest") == []


# ------------------------------------------------------------------------------------ reminders do not cross answers


async def test_no_reminder_crosses_a_confirmation(outside: Town) -> None:
    await outside.until("2023-12-06", "07:59")
    outside.clock.set(at("2023-12-06", "08:00"))
    # The hop has decided to remind; the answer comes before the mail is claimed.
    hop = await outside.hop("BQL")
    lease = await hops.turn(outside.house, hop.id)
    assert lease is not None
    waiting = await outside.one(Message, Message.kind == "reminder")
    assert waiting.state == "QUEUED"
    await outside.say("T-OUT")
    await outbox.dispatch(outside.house, outside.postbox, hop.id)
    await hops.rest(outside.house, lease)
    await hops.release(outside.house, lease)
    await outside.until("2023-12-31")
    assert await outside.diary("reminder", "overdue") == []
    assert (await outside.one(Message, Message.kind == "reminder")).state == "CANCELLED"


async def test_an_engine_that_was_off_for_days_sends_one_catch_up_mail(outside: Town) -> None:
    outside.clock.set(at("2023-12-11", "09:00"))
    await outside.work()
    assert await outside.diary("reminder", "overdue") == ["11/12 09:00 T-OUT overdue"]
    await outside.until("2023-12-11", "16:00")
    assert await outside.diary("reminder", "overdue") == ["11/12 09:00 T-OUT overdue"]


# ------------------------------------------------------------------------------------ over Tết


async def test_over_tet_routine_reminders_are_held_and_the_letter_is_not(town: Town) -> None:
    patient = Policy.model_validate({"grace_working_days": 10})
    await sent_out(
        town, "2024-02-05", "09:00", audience=ONLY_OUTSIDE, policies={"tenant": patient, "board": CASCADE_BOARD}
    )
    await town.until("2024-03-01")
    assert (await town.delivery("T-OUT")).due_at == at("2024-02-19", "17:00")
    assert await town.diary("letter", "reminder", "overdue", to=("T-OUT",)) == [
        "05/02 09:00 T-OUT letter",
        "16/02 07:30 T-OUT reminder",
        "19/02 08:00 T-OUT reminder",
        "20/02 08:00 T-OUT overdue",
    ]


CASCADE_BOARD = Policy.model_validate(
    {"deadline": {"working_days": 1, "minimum_working_days": 1}, "reminders": [], "release": "on_acknowledge"}
)


async def test_a_letter_opened_on_saturday_night_leaves_on_monday_morning(town: Town) -> None:
    await sent_out(town, "2023-12-02", "22:00", audience=ONLY_OUTSIDE)
    assert await town.diary() == []
    await town.until("2023-12-04", "08:00")
    # Registered on Saturday night from the portal, so its own slip follows on Monday with the letter.
    assert await town.diary("slip", "letter") == ["04/12 07:30 BQL slip", "04/12 07:30 T-OUT letter"]


# ------------------------------------------------------------------------------------ extension


async def test_an_extension_gives_more_time_and_the_reminders_begin_anew(outside: Town) -> None:
    await outside.until("2023-12-06", "10:00")
    assert await outside.diary("reminder") == ["06/12 08:00 T-OUT reminder"]
    row = await outside.delivery("T-OUT")
    await extending.extend(outside.house, row.id, at("2023-12-20", "17:00"), "QHXD", "doanh nghiệp đề nghị")
    await outside.until("2023-12-31")
    assert await outside.diary(to=("T-OUT",)) == [
        "01/12 08:00 T-OUT letter",
        "06/12 08:00 T-OUT reminder",
        "06/12 10:00 T-OUT extension",
        "18/12 08:00 T-OUT reminder",
        "20/12 08:00 T-OUT reminder",
        "21/12 08:00 T-OUT overdue",
        "22/12 08:00 T-OUT urge",
        "28/12 08:00 T-OUT urge",
    ]


async def test_an_extension_after_the_escalation_closes_the_case_until_the_new_date(outside: Town) -> None:
    await outside.until("2023-12-12", "09:00")
    row = await outside.delivery("T-OUT")
    await extending.extend(outside.house, row.id, at("2023-12-15", "17:00"), "QHXD", "đã gọi điện")
    await outside.until("2023-12-18", "16:59")
    assert [case.closed_why for case in await outside.cases("T-OUT")] == ["extended"]
    await outside.until("2023-12-19", "09:00")
    assert sorted(case.closed_why or "open" for case in await outside.cases("T-OUT")) == ["extended", "open"]
    assert (await outside.diary("digest"))[-1] == "19/12 08:00 QHXD digest"


async def test_a_deadline_that_was_told_never_moves_earlier(opened: Town) -> None:
    row = await opened.delivery("T-OUT")
    for when in (at("2023-12-07", "17:00"), at("2023-12-08", "17:00")):
        with pytest.raises(ActRefused):
            await extending.extend(opened.house, row.id, when, "QHXD", "nhầm")
    assert (await opened.delivery("T-OUT")).due_at == at("2023-12-08", "17:00")


# ------------------------------------------------------------------------------------ held


async def test_a_held_campaign_sends_nothing_and_goes_on_when_it_is_resumed(outside: Town) -> None:
    await campaigns.hold(outside.house, "8184", "Phó Trưởng ban", "chờ ý kiến")
    await outside.until("2023-12-13", "09:00")
    assert await outside.diary(to=("T-OUT", "QHXD")) == ["01/12 08:00 T-OUT letter"]
    assert await outside.all(Case) == []
    await campaigns.resume(outside.house, "8184", "Phó Trưởng ban")
    await outside.until("2023-12-14", "09:00")
    assert await outside.diary(to=("T-OUT", "QHXD")) == [
        "01/12 08:00 T-OUT letter", "14/12 08:00 QHXD digest", "14/12 08:00 T-OUT urge",
    ]  # fmt: skip


async def test_what_is_queued_when_a_campaign_is_held_stays_in_the_queue(town: Town) -> None:
    await sent_out(town, "2023-12-02", "22:00", audience=ONLY_OUTSIDE)
    await campaigns.hold(town.house, "8184", "Phó Trưởng ban")
    await town.until("2023-12-05", "09:00")
    assert await town.diary() == []
    await campaigns.resume(town.house, "8184", "Phó Trưởng ban")
    await town.work()
    assert "05/12 09:00 BQL slip" in await town.diary()


async def test_answers_are_accepted_while_a_campaign_is_held(opened: Town) -> None:
    await campaigns.hold(opened.house, "8184", "Phó Trưởng ban")
    assert (await opened.say("VP")).state == State.ACKNOWLEDGED
    await opened.pass_on("INV-A")
    await opened.until("2023-12-02", "09:00")
    assert (await opened.delivery("T1")).state == State.QUEUED, "the way is open, and nothing leaves"
    await campaigns.resume(opened.house, "8184", "Phó Trưởng ban")
    await opened.until("2023-12-04", "09:00")
    assert (await opened.delivery("T1")).state == State.SENT


@pytest.mark.parametrize("gone_past", [False, True], ids=["passed on", "gone past"])
async def test_a_hop_that_was_looked_at_while_its_campaign_was_held_opens_when_it_is_resumed(
    opened: Town, *, gone_past: bool
) -> None:
    if gone_past:
        await steering.release(opened.house, "8184", "INV-A", "Chu Đức Anh", "không trả lời")
    else:
        await opened.pass_on("INV-A")
    await campaigns.hold(opened.house, "8184", "Phó Trưởng ban")
    assert await opened.turn((await opened.hop("INV-A")).id)
    await campaigns.resume(opened.house, "8184", "Phó Trưởng ban")
    await opened.work()
    assert (await opened.delivery("T1")).state == State.SENT


async def test_a_campaign_that_is_held_right_after_its_launch_begins_when_it_is_resumed(town: Town) -> None:
    await town.launch()
    await campaigns.hold(town.house, "8184", "Phó Trưởng ban")
    assert await town.turn((await town.hop("UBND-HP")).id)
    await campaigns.resume(town.house, "8184", "Phó Trưởng ban")
    await town.work()
    assert await town.diary() == ["01/12 08:00 BQL slip"]


# ------------------------------------------------------------------------------------ what cannot be sent


def refuses(*addresses: str) -> Callable[[Outgoing], Outcome | None]:
    """A mail server that knows these mailboxes not."""

    def says(item: Outgoing) -> Outcome | None:
        return Outcome(item.key, "refused", 550, "5.1.1 no such user") if item.rcpt_to in addresses else None

    return says


async def test_a_refused_address_is_told_of_apart_and_a_new_one_is_written_to(town: Town) -> None:
    town.postbox = Postbox(refuses(address("T-OUT")))
    await sent_out(town, hour="09:00", audience=ONLY_OUTSIDE)
    assert (await town.delivery("T-OUT")).state == State.UNDELIVERABLE
    await town.until("2023-12-05", "09:00")
    assert await town.diary("digest") == ["04/12 08:00 QHXD digest"]
    row = await town.delivery("T-OUT")
    await deliveries.resend(town.house, row.id, "QHXD", address="moi@t-out.example", why="đã gọi điện")
    await town.until("2023-12-08")
    assert (await town.delivery("T-OUT")).state == State.SENT
    assert [case.closed_why for case in await town.cases("T-OUT")] == ["readdressed"]
    # "Two days before" would have come on the morning after the letter: it is passed over.
    letter, reminder = town.postbox.to("moi@t-out.example")
    assert str(reminder["In-Reply-To"]) == str(letter["Message-ID"])
    await town.until("2023-12-31")
    assert (await town.delivery("T-OUT")).due_at == at("2023-12-08", "17:00"), "the deadline stands"


async def test_a_server_that_is_not_ready_for_two_days_makes_the_mailbox_unreachable(town: Town) -> None:
    def busy(item: Outgoing) -> Outcome | None:
        return Outcome(item.key, "unavailable", 451, "4.7.1 greylisted") if item.rcpt_to == address("T-OUT") else None

    town.postbox = Postbox(busy)
    await sent_out(town, audience=ONLY_OUTSIDE)
    assert (await town.delivery("T-OUT")).state == State.QUEUED
    await town.until("2023-12-04", "09:00")
    assert (await town.delivery("T-OUT")).state == State.UNDELIVERABLE
    message = await town.one(Message, Message.recipient == "T-OUT", Message.kind == "letter")
    assert 8 < message.attempts < 30, "pauses that grow"


async def test_who_is_reached_after_the_closing_and_still_owes_something_stands_in_a_case(town: Town) -> None:
    """His clock goes on no more, and the case of the mail that came back is closed by his answer."""
    town.postbox = Postbox(refuses(address("INV-B")))
    await sent_out(town, hour="09:00")
    await closing.close(town.house, "8184", "Chu Đức Anh", now_matter_what=True)
    await town.say("INV-B")
    await town.work()
    assert (await town.delivery("INV-B")).state == State.ACKNOWLEDGED, "and it has not passed on"
    (case,) = [case for case in await town.cases("INV-B") if case.closed_at is None]
    assert (case.kind, case.tell_at) == ("silent", None), "listed, and nobody is told after the closing"


async def test_what_never_left_is_never_called_silence(town: Town) -> None:
    # Whatever keeps a letter back up to the grace, the department hears that it did not leave.
    town.postbox = Postbox(
        lambda item: Outcome(item.key, "unknown", None, "") if item.rcpt_to == address("T-OUT") else None
    )
    await sent_out(town, audience=ONLY_OUTSIDE)
    town.clock.set(at("2023-12-11", "17:00"))
    await town.work()
    assert (await town.delivery("T-OUT")).state == State.UNDELIVERABLE
    assert [case.kind for case in await town.cases("T-OUT")] == ["undeliverable"]


async def test_a_server_that_never_says_whether_it_took_the_letter_gets_it_for_two_days_and_then_no_more(
    town: Town,
) -> None:
    # Each of them may lie in the mailbox.
    town.postbox = Postbox(
        lambda item: Outcome(item.key, "unknown", None, "") if item.rcpt_to == address("T-OUT") else None
    )
    await sent_out(town, audience=ONLY_OUTSIDE)
    await town.until("2023-12-04", "09:00")
    message = await town.one(Message, Message.recipient == "T-OUT", Message.kind == "letter")
    assert (message.state, (await town.delivery("T-OUT")).state) == ("REFUSED", State.UNDELIVERABLE)
    await town.until("2023-12-31")
    assert (await town.one(Message, Message.id == message.id)).attempts == message.attempts < 30
    assert [case.kind for case in await town.cases("T-OUT")] == ["undeliverable"]
    await town.say("T-OUT")
    assert (await town.delivery("T-OUT")).state == State.ACKNOWLEDGED, "it had come"


async def test_one_row_that_cannot_move_does_not_keep_the_others(town: Town) -> None:
    town.postbox = Postbox(refuses(address("INV-A"), address("VP")))
    await sent_out(town)
    assert await town.states("INV-A", "INV-B", "T-OUT", "VP") == {
        "INV-A": "UNDELIVERABLE", "INV-B": "SENT", "T-OUT": "SENT", "VP": "UNDELIVERABLE",
    }  # fmt: skip


async def test_those_below_who_is_exempted_get_the_letter_of_the_board_itself(opened: Town) -> None:
    await opened.until("2023-12-05", "09:00")
    row = await opened.delivery("INV-A")
    await deliveries.exempt(opened.house, row.id, "QHXD", "công ty đang giải thể")
    await opened.until("2023-12-05", "09:00")
    assert await opened.diary("bypass") == [f"05/12 09:00 {code} bypass" for code in ("T-BOTH", "T-CHEM", "T1", "T2")]
    body = text_of(opened.postbox.to(address("T1"))[-1])
    assert "được miễn chuyển tiếp văn bản" in body
    # Half of the time is over: they get the longer of the printed date and their own minimum.
    assert (await opened.delivery("T1")).due_at == at("2023-12-08", "17:00")
    async with opened.house.store.view() as ledger:
        counted = await figures.totals(ledger, opened.campaign, await opened.house.clock.now())
    assert counted["not_sent"] == 1, "T3 waits for INV-B"


async def test_those_below_are_not_reached_where_the_letter_is_taken_back_from_their_issuer(opened: Town) -> None:
    row = await opened.delivery("INV-A")
    await deliveries.withdraw(opened.house, row.id, "QHXD", "gửi nhầm")
    await opened.until("2023-12-12")
    async with opened.house.store.view() as ledger:
        counted = await figures.totals(ledger, opened.campaign, await opened.house.clock.now())
    assert counted["not_sent"] == 3, "T1, T2 and T-CHEM; the one in two parks is reached by the other way"
    assert (await opened.delivery("T-BOTH")).state == State.SENT
    # A person is told, and decides: past the investor here.
    assert [one.rung > 0 for code in ("T1", "T2", "T-CHEM") for one in await opened.cases(code)] == [True] * 3
    assert (await opened.cases("T-BOTH")) == []
    await steering.release(opened.house, opened.campaign, "INV-A", "QHXD", "vẫn thuộc đối tượng")
    await opened.work()
    assert [line.split()[2] for line in await opened.diary("bypass") if line[:5] == "12/12"] == ["T-CHEM", "T1", "T2"]
    (case,) = await opened.cases("T1")
    assert (case.closed_why, case.closed_by) == ("opened", "engine")
    body = text_of(opened.postbox.to(address("T1"))[-1])
    assert "không còn là nơi chuyển tiếp" in body


async def test_taking_the_letter_back_from_everybody_leaves_no_case(opened: Town) -> None:
    await steering.withdraw_all(opened.house, opened.campaign, "QHXD", "gửi nhầm")
    await opened.until("2023-12-12")
    assert await opened.all(Case, Case.closed_at.is_(None)) == []
    assert (await opened.states("T1"))["T1"] == "WITHDRAWN"


async def test_a_reminder_never_comes_on_the_heels_of_a_letter_past_a_silent_investor(opened: Town) -> None:
    await opened.until("2023-12-20")
    assert await opened.diary(to=("T1",)) == [
        "11/12 17:00 T1 bypass",
        # "Two days before" the 14th is the 12th, the morning after the letter.
        "14/12 08:00 T1 reminder",
        "15/12 08:00 T1 overdue",
        "18/12 08:00 T1 urge",
    ]


async def test_one_who_acknowledged_and_still_owes_the_passing_on_is_written_to_at_another_mailbox(
    opened: Town,
) -> None:
    await opened.say("INV-A")
    row = await opened.delivery("INV-A")
    await deliveries.resend(opened.house, row.id, "QHXD", address="moi@inv-a.example", why="đổi đầu mối")
    await opened.work()
    row = await opened.delivery("INV-A")
    assert (row.state, row.address) == (State.ACKNOWLEDGED, "moi@inv-a.example")
    assert len(opened.postbox.to("moi@inv-a.example")) == 1
    await opened.until("2023-12-06")
    assert len(opened.postbox.to("moi@inv-a.example")) == 2, "and reminded there"
