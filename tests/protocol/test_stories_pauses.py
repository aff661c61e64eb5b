"""A campaign stands still: what its clocks, its mail and those concerned make of the time in between."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from congvan.acts import campaigns, extending, notices, pausing
from congvan.mail.outgoing import Outcome, Outgoing
from congvan.rules.protocol import State
from congvan.rules.records import Policy, Urgency
from congvan.store.tables import Case, Message
from tests.conftest import at, text_of
from tests.protocol.test_stories_changes import BY, by_night
from tests.protocol.world import Town, address, to

BUSY = ("unavailable", 451, "4.7.1 greylisted")
UNTOLD = ("unknown", None, "connection lost after the final dot")


def not_now(town: Town, code: str, times: int, said: tuple[str, int | None, str] = BUSY) -> None:
    """From now on a server puts off so many attempts with this recipient, and then takes everything."""
    left = times

    def says(item: Outgoing) -> Outcome | None:
        nonlocal left
        if item.rcpt_to != address(code) or not left:
            return None
        left -= 1
        return Outcome(item.key, *said)  # type: ignore[arg-type]

    town.postbox.says = says


async def stopped(town: Town, day: str, hour: str = "09:00") -> None:
    """The campaign is paused at this hour, and everybody who is to know of it is told."""
    await town.until(day, hour)
    await pausing.pause(town.house, town.campaign, BY, "chờ ý kiến Thành phố")
    await town.work()


async def going_on(town: Town, day: str, hour: str = "09:00") -> None:
    """It goes on at this hour."""
    await town.until(day, hour)
    await campaigns.resume(town.house, town.campaign, BY)
    await town.work()


# ------------------------------------------------------------------------------------ two days of patience


async def held(town: Town) -> None:
    """From Friday night to Wednesday a person keeps the letters back."""
    await campaigns.hold(town.house, "8184", BY, "chờ ý kiến")
    await town.until("2023-12-06", "09:00")
    await campaigns.resume(town.house, "8184", BY)


async def switched_off(town: Town) -> None:
    """The machine stands still for as long."""
    town.clock.set(at("2023-12-06", "09:00"))


@pytest.mark.parametrize("lie", [held, switched_off])
async def test_a_letter_that_lay_here_for_days_is_not_given_up_at_the_first_not_now(
    town: Town, lie: Callable[[Town], Awaitable[None]]
) -> None:
    await by_night(town)
    await lie(town)
    not_now(town, "T-OUT", 1)
    await town.work()
    assert (await town.delivery("T-OUT")).state == State.QUEUED
    await town.until("2023-12-06", "09:10")
    assert (await town.delivery("T-OUT")).state == State.SENT
    assert await town.cases("T-OUT") == []


async def test_nor_where_the_way_itself_is_shut_at_that_moment(town: Town) -> None:
    await by_night(town)
    await held(town)
    town.postbox.says = lambda item: Outcome(item.key, "unavailable", None, "connection refused", slow_down=True)
    await town.work()
    town.postbox.says = lambda item: None
    await town.until("2023-12-06", "09:10")
    assert set((await town.states("T-OUT", "INV-A", "INV-B", "VP")).values()) == {State.SENT}
    assert await town.all(Case) == []


async def test_the_time_of_a_hold_is_no_part_of_the_patience_with_a_letter_that_was_tried_before_it(town: Town) -> None:
    not_now(town, "T-OUT", 2)
    await town.launch()
    await town.work()
    await town.say("BQL")
    await town.work()
    await held(town)
    await town.work()
    assert (await town.delivery("T-OUT")).state == State.QUEUED
    await town.until("2023-12-06", "09:10")
    assert (await town.delivery("T-OUT")).state == State.SENT


@pytest.mark.parametrize("said", [BUSY, UNTOLD], ids=["not now", "no word"])
async def test_a_server_that_never_takes_it_is_given_up_two_days_after_the_first_attempt(
    town: Town, said: tuple[str, int | None, str]
) -> None:
    await by_night(town)
    not_now(town, "T-OUT", 1000, said)
    await town.until("2023-12-05", "17:00")
    assert (await town.delivery("T-OUT")).state == State.QUEUED
    await town.until("2023-12-06", "12:00")
    assert (await town.delivery("T-OUT")).state == State.UNDELIVERABLE
    assert [case.kind for case in await town.cases("T-OUT")] == ["undeliverable"]


# ------------------------------------------------------------------------------------ who is told of its end


async def test_who_was_told_of_the_pause_in_his_grace_is_told_of_its_end(outside: Town) -> None:
    await stopped(outside, "2023-12-11")
    await going_on(outside, "2023-12-13")
    assert await outside.diary("pause", "resume") == ["11/12 09:00 T-OUT pause", "13/12 09:00 T-OUT resume"]
    (mail,) = [one for one in outside.postbox.to(address("T-OUT")) if "[Tiếp tục]" in str(one["Subject"])]
    assert "Thời hạn mới: trước 17 giờ 00 ngày 12/12/2023 (đã qua)" in text_of(mail)
    assert "sớm nhất tại đường dẫn" in text_of(mail)
    assert " by " not in text_of(mail).partition("English:")[2].partition("http")[0], "no date that has passed"


async def test_who_is_urged_is_told_of_the_end_with_the_last_date_that_holds_for_him(outside: Town) -> None:
    await stopped(outside, "2023-12-12")
    await going_on(outside, "2023-12-20")
    mail = outside.postbox.to(address("T-OUT"))[-1]
    assert str(mail["Subject"]).endswith("hạn chót 17 giờ 00 ngày 25/12/2023")
    assert "Hạn chót của công văn đôn đốc: trước 17 giờ 00 ngày 25/12/2023" in text_of(mail)
    assert "Thời hạn cũ" not in text_of(mail)


async def test_who_was_told_of_a_pause_that_moves_nothing_is_told_that_his_term_stands(town: Town) -> None:
    await town.launch(urgency=Urgency.URGENT, audience=to("T-OUT"))
    await town.work()
    await town.say("BQL")
    await stopped(town, "2023-12-02")
    await going_on(town, "2023-12-03")
    assert await town.diary("pause", "resume") == ["02/12 09:00 T-OUT pause", "03/12 09:00 T-OUT resume"]
    mail = town.postbox.to(address("T-OUT"))[-1]
    assert "Thời hạn: trước 17 giờ 00 ngày 08/12/2023" in text_of(mail)
    assert "Thời hạn cũ" not in text_of(mail)


async def test_who_was_told_of_an_earlier_pause_only_is_not_told_of_the_end_of_another(outside: Town) -> None:
    await stopped(outside, "2023-12-05")
    await going_on(outside, "2023-12-06")
    told = await outside.diary("resume")
    await outside.until("2023-12-09", "09:00")
    await pausing.pause(outside.house, outside.campaign, BY, "cuối tuần")
    await campaigns.resume(outside.house, outside.campaign, BY)
    await outside.until("2023-12-11", "09:00")
    assert await outside.diary("resume") == told


async def test_a_word_to_the_department_is_not_lost_when_the_campaign_goes_on(opened: Town) -> None:
    await campaigns.hold(opened.house, opened.campaign, notices.ENGINE, "hộp thư từ chối")
    await campaigns.resume(opened.house, opened.campaign, BY)
    await pausing.pause(opened.house, opened.campaign, BY, "xem lại")
    await campaigns.resume(opened.house, opened.campaign, BY)
    assert {one.state for one in await opened.all(Message, Message.kind == "notice")} == {"QUEUED"}
    await opened.work()
    assert await opened.diary("notice", "pause") == ["01/12 08:00 QHXD notice"]


# ------------------------------------------------------------------------------------ what moves, and how far


async def test_the_last_date_of_an_issued_don_doc_stands_still_too(outside: Town) -> None:
    await stopped(outside, "2023-12-12")
    await going_on(outside, "2023-12-20")
    await outside.until("2023-12-31")
    # Without the pause the last date is 15/12; six working days later the second round follows it.
    assert await outside.diary("urge") == ["12/12 08:00 T-OUT urge", "26/12 08:00 T-OUT urge"]


async def test_more_time_that_is_given_during_a_pause_stands_still_only_from_then_on(outside: Town) -> None:
    await stopped(outside, "2023-12-05")
    await outside.until("2023-12-08", "09:00")
    row = await outside.delivery("T-OUT")
    await extending.extend(outside.house, row.id, at("2023-12-20", "17:00"), BY, "bão số 5")
    await going_on(outside, "2023-12-11", "09:00")
    assert (await outside.delivery("T-OUT")).due_at == at("2023-12-21", "17:00"), "one working day, not four"
    # One date is told, and against the one that was known.
    for mail in outside.postbox.to(address("T-OUT"))[-2:]:
        assert "Thời hạn mới: trước 17 giờ 00 ngày 21/12/2023" in text_of(mail)
        assert "Thời hạn cũ: trước 17 giờ 00 ngày 08/12/2023" in text_of(mail)


async def test_more_time_for_all_that_is_given_during_a_pause_holds_for_what_is_passed_on_after_it(
    opened: Town,
) -> None:
    await stopped(opened, "2023-12-05")
    await opened.until("2023-12-08", "09:00")
    await extending.extend_many(opened.house, "8184", at("2023-12-20", "17:00"), BY, "bão số 5")
    await going_on(opened, "2023-12-11", "09:00")
    await opened.pass_on("INV-A")
    await opened.work()
    dues = {(await opened.delivery(code)).due_at for code in ("INV-B", "T1")}
    assert dues == {at("2023-12-21", "17:00")}


async def test_an_urgent_term_in_days_moves_by_working_days_for_its_people_and_for_whom_they_reach(town: Town) -> None:
    await town.launch(urgency=Urgency.URGENT, policies={"investor": Policy.model_validate({"settles": "forward"})})
    await town.work()
    await town.say("BQL")
    await town.work()
    await stopped(town, "2023-12-01")
    await going_on(town, "2023-12-03")
    await town.pass_on("INV-A")
    await town.work()
    # One working day: Friday. By the clock it would be a Sunday.
    assert {(await town.delivery(code)).due_at for code in ("INV-B", "T1")} == {at("2023-12-11", "17:00")}
    assert (await town.hop("BQL")).due_at == at("2023-12-11", "17:00")
