"""Recipients of one hop with different terms, organisations out of their dates, and companies that pass on too late."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from congvan.acts import closing, letters
from congvan.rules.cascade import route
from congvan.rules.protocol import State
from congvan.rules.records import Deadline, Policy, Settles
from congvan.store.tables import Letter
from tests.conftest import at, text_of
from tests.protocol.test_issue import drawn, entered, go_live
from tests.protocol.world import CASCADE, PLAN, Town, address, register, to
from tests.signing import signed

TERMS = {
    "investor": Policy(settles=Settles.FORWARD, deadline=Deadline(working_days=3)),
    "tenant": Policy(deadline=Deadline(working_days=6)),
    "unit": Policy(deadline=Deadline(working_days=6)),
}


async def begun(town: Town, **changes: object) -> None:
    """The Board's letter has gone out on Friday 01/12/2023."""
    await town.launch(**changes)  # type: ignore[arg-type]
    await town.work()
    await town.say("BQL")
    await town.work()


async def test_a_letter_prints_the_deadline_of_each_line_of_its_recipients_and_each_is_held_to_its_own(
    town: Town,
) -> None:
    await begun(town, policies=TERMS)
    letter = await town.letter("BQL")
    words = " ".join(letter.html.split())
    assert "17 giờ 00 ngày 06/12/2023 (đối với: Chủ đầu tư kinh doanh hạ tầng)" in words
    assert "17 giờ 00 ngày 11/12/2023 (đối với: Doanh nghiệp thứ cấp, Đơn vị thuộc Ban)" in words
    dues = {code: (await town.delivery(code)).due_at for code in ("INV-A", "T-OUT", "VP")}
    assert dues == {
        "INV-A": at("2023-12-06", "17:00"), "T-OUT": at("2023-12-11", "17:00"), "VP": at("2023-12-11", "17:00"),
    }  # fmt: skip
    mail = text_of(town.postbox.to(address("T-OUT"))[0])
    assert "muộn hơn thời hạn in trong văn bản" not in mail, "its own date is printed"


async def test_tenants_below_an_investor_are_held_to_the_line_that_the_board_printed_for_tenants(town: Town) -> None:
    await begun(town, policies=TERMS)
    await town.until("2023-12-04", "09:00")
    await town.pass_on("INV-A")
    await town.work()
    assert (await town.delivery("T1")).due_at == at("2023-12-11", "17:00")


async def test_one_term_for_all_is_printed_once(opened: Town) -> None:
    assert "đối với:" not in (await opened.letter("BQL")).html


def test_who_does_not_exist_on_the_day_of_the_launch_is_not_on_the_route() -> None:
    ended, begins, later = date(2023, 11, 30), date(2023, 12, 1), date(2024, 1, 1)
    people = register(T1={"valid_until": ended}, T2={"valid_from": begins}, INV_B={"valid_from": later})
    found = set(route(people, CASCADE, PLAN, date(2023, 12, 1)).recipients())
    assert {"T2", "INV-A", "T-BOTH"} <= found
    assert not found & {"T1", "INV-B", "T3"}
    assert "T1" in route(people, CASCADE, PLAN, date(2023, 11, 30)).recipients()


async def test_an_organisation_out_of_its_dates_gets_no_obligation(town: Town) -> None:
    await town.launch(people=register(VP={"valid_until": date(2023, 11, 30)}))
    codes = {row.recipient for row in await town.all(type(await town.delivery("BQL")))}
    assert "VP" not in codes


# ------------------------------------------------------------------------------------ after the closing


async def test_a_company_that_passes_on_after_the_closing_still_reaches_those_below(town: Town) -> None:
    await begun(town, audience=to("T1", "T2"), policies={"investor": Policy(settles=Settles.FORWARD)})
    await town.until("2023-12-25", "09:00")
    await closing.close(town.house, town.campaign, "Chu Đức Anh")
    await town.until("2023-12-26", "09:00")
    receipt = await town.pass_on("INV-A")
    assert receipt.late
    await town.work()
    assert await town.diary("letter", to=("T1", "T2")) == ["26/12 09:00 T1 letter", "26/12 09:00 T2 letter"]
    await town.say("T1")
    assert (await town.delivery("T1")).state == State.ACKNOWLEDGED
    await town.until("2024-01-31")
    assert await town.diary("reminder", "overdue", "urge", to=("T1", "T2")) == [], "nobody is chased after the closing"
    assert (await town.one(Letter, Letter.kind == "investor")).state == "ISSUED"


async def test_who_is_held_to_the_printed_date_is_not_told_of_a_later_one_because_another_line_is(
    town: Town, tmp_path: Path
) -> None:
    terms = {"tenant": Policy(deadline=Deadline(working_days=5)), "unit": Policy(deadline=Deadline(working_days=9))}
    letter = await go_live(town, tmp_path, audience=to("T-OUT", "VP"), policies=terms)
    await town.until("2023-12-08", "09:00")
    file = signed(await drawn(town, letter, issued_on=date(2023, 12, 8)))
    await letters.issue(town.house, letter.id, entered(file, day=date(2023, 12, 8)))
    await town.work()
    told, due = {}, {}
    for code in ("T-OUT", "VP"):
        due[code] = (await town.delivery(code)).due_at
        mail = next(one for one in town.postbox.to(address(code)) if "chờ ban hành" not in str(one["Subject"]))
        body = text_of(mail)
        told[code] = "muộn hơn thời hạn in" in body
    assert due == {"T-OUT": at("2023-12-13", "17:00"), "VP": at("2023-12-14", "17:00")}
    assert told == {"T-OUT": True, "VP": False}


async def test_a_letter_that_is_issued_shortly_before_its_own_date_gives_everybody_the_minimum_and_says_so(
    town: Town, tmp_path: Path
) -> None:
    letter = await go_live(town, tmp_path, audience=to("T-OUT"))
    await town.until("2023-12-08", "09:00")
    file = signed(await drawn(town, letter, issued_on=date(2023, 12, 8)))
    await letters.issue(town.house, letter.id, entered(file, day=date(2023, 12, 8)))
    await town.work()
    row = await town.delivery("T-OUT")
    assert letters.printed_due(await town.letter("BQL")) == at("2023-12-08", "17:00")
    assert (row.state, row.due_at) == (State.SENT, at("2023-12-13", "17:00"))
    mail = text_of(town.postbox.to(address("T-OUT"))[0])
    assert "17 giờ 00 ngày 13/12/2023, muộn hơn thời hạn in trong văn bản" in mail
    await town.until("2023-12-12")
    assert await town.cases("T-OUT") == []
