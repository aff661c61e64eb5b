"""Acts that cross each other: a recall while a hop is shut, a joiner below somebody who was let go, a letter that is
replaced while a company's own waits. Nobody is forgotten by it, and nothing leaves that nobody decided."""

from __future__ import annotations

from pathlib import Path

import pytest

from congvan.acts import (
    amending,
    campaigns,
    closing,
    confirmations,
    deliveries,
    escalations,
    joining,
    letters,
    pausing,
    recalls,
    steering,
)
from congvan.acts.confirmations import Answer
from congvan.acts.drafting import Draft
from congvan.errors import ActRefused
from congvan.house import House
from congvan.letters.press import Rendered
from congvan.rules.protocol import Event, State
from congvan.rules.records import Deadline, OnSilence, Policy, Release, Settles
from congvan.store.tables import Campaign, Letter
from tests.protocol.test_issue import go_live
from tests.protocol.test_stories_changes import NEW_WORDS, board_letter, replaced
from tests.protocol.test_stories_ladder import issue, live
from tests.protocol.test_stories_mailboxes import refuses
from tests.protocol.world import PLAN, Town, address, newcomer, to

BY = "Lan"


async def cases(town: Town, code: str) -> list[tuple[str, str | None]]:
    """The kinds of a recipient's cases, and why each was closed."""
    return [(case.kind, case.closed_why) for case in await town.cases(code)]


def files(town: Town, code: str) -> list[str]:
    """What the last mail to this one encloses."""
    return [str(part.get_filename()) for part in town.postbox.to(address(code))[-1].iter_attachments()]


# ------------------------------------------------------------------------------------ a letter that is taken back


async def test_past_a_silent_issuer_no_letter_leaves_that_was_recalled_but_the_one_that_takes_its_place(
    opened: Town,
) -> None:
    await opened.until("2023-12-05", "09:00")
    await pausing.pause(opened.house, opened.campaign, BY, "xem lại")
    await steering.release(opened.house, opened.campaign, "INV-A", BY, "im lặng")
    await recalls.recall(opened.house, (await board_letter(opened)).id, BY, "sai")
    await campaigns.resume(opened.house, opened.campaign, BY)
    await opened.work()
    assert (await opened.hop("INV-A")).opened_at is None
    await replaced(opened)
    await opened.until("2023-12-08")
    assert await opened.states("T1", "T2") == {"T1": State.SENT, "T2": State.SENT}
    assert (await opened.delivery("T1")).wake_at is not None


async def test_a_companys_letter_is_not_taken_back_since_nothing_of_ours_could_take_its_place(opened: Town) -> None:
    await opened.pass_on("INV-A", "77")
    await opened.work()
    with pytest.raises(ActRefused, match="doanh nghiệp"):
        await recalls.recall(opened.house, (await opened.letter("INV-A")).id, BY, "sai")


async def test_who_is_asked_to_give_a_letter_back_is_let_go_only_after_the_next_one(opened: Town) -> None:
    await recalls.recall(opened.house, (await board_letter(opened)).id, BY, "sai")
    await opened.work()
    tenant = (await opened.delivery("T-OUT")).id
    with pytest.raises(ActRefused, match="thay thế"):
        await deliveries.exempt(opened.house, tenant, BY, "không thuộc")
    await replaced(opened)
    await deliveries.exempt(opened.house, tenant, BY, "không thuộc")
    assert (await opened.delivery("T-OUT")).state == State.EXEMPT


async def test_a_correction_of_a_recalled_letter_is_in_nobodys_hands(town: Town, tmp_path: Path) -> None:
    await live(town, tmp_path, audience=to("T-OUT"))
    old = await board_letter(town)
    made = await amending.correct(town.house, old.id, [amending.Slip("a", "b")], BY, "sai")
    await recalls.recall(town.house, old.id, BY, "sai hết")
    await town.until("2023-12-06", "09:00")
    assert (await town.one(Letter, Letter.id == made)).state == "CANCELLED"
    assert await town.diary("issue_wanted") == []


# ------------------------------------------------------------------------------------ replaced, corrected


async def test_a_companys_letter_that_could_not_leave_yet_is_written_anew_for_the_letter_that_takes_the_place(
    opened: Town,
) -> None:
    await opened.until("2023-12-05", "09:00")
    await pausing.pause(opened.house, opened.campaign, BY, "xem lại")
    await opened.pass_on("INV-A", "77")
    old = await board_letter(opened)
    new = await replaced(opened)
    await campaigns.resume(opened.house, opened.campaign, BY)
    await opened.work()
    assert (await opened.hop("INV-A")).opened_at is None
    await opened.pass_on("INV-A", "88")
    await opened.work()
    letter = await opened.letter("INV-A")
    assert letter.number == 88
    assert new.symbol in letter.html
    assert old.symbol not in letter.html


async def test_of_two_letters_that_are_to_take_one_place_only_the_first_is_issued(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await live(town, tmp_path, audience=to("T-OUT"))
    old = await board_letter(town)

    async def at_once(*_given: object) -> None:
        """Neither sees the other's draft."""

    monkeypatch.setattr(amending, "_refuse_second", at_once)
    first = await amending.replace(town.house, old.id, NEW_WORDS, BY, "sai")
    second = await amending.replace(town.house, old.id, NEW_WORDS, BY, "sai")
    await issue(town, await town.one(Letter, Letter.id == first), "2601")
    with pytest.raises(ActRefused, match="đã được thay thế"):
        await issue(town, await town.one(Letter, Letter.id == second), "2602")


async def test_who_gets_a_corrected_letter_later_gets_its_correction_with_it(opened: Town) -> None:
    await opened.until("2023-12-05", "09:00")
    await amending.correct(opened.house, (await board_letter(opened)).id, [amending.Slip("qhxd@", "qh@")], BY, "sai")
    await opened.work()
    correction = await opened.one(Letter, Letter.kind == "correction")
    await opened.pass_on("INV-A")
    await opened.until("2023-12-06", "09:00")
    named = correction.symbol.partition("/")[0]
    assert any(name.startswith(named) for name in files(opened, "T1")), files(opened, "T1")


# ------------------------------------------------------------------------------------ let go, released, joined


async def test_nobody_goes_past_an_authority_whose_letter_is_the_directive(town: Town, tmp_path: Path) -> None:
    pending = await go_live(town, tmp_path)
    with pytest.raises(ActRefused, match="văn bản của mình"):
        await steering.release(town.house, town.campaign, "BQL", BY, "chậm")
    await issue(town, pending, "2600")
    assert await town.states("INV-A", "T-OUT") == {"INV-A": State.SENT, "T-OUT": State.SENT}


async def test_the_letter_of_an_authority_that_was_let_go_is_not_issued(town: Town, tmp_path: Path) -> None:
    pending = await go_live(town, tmp_path, audience=to("T-OUT"))
    await deliveries.withdraw(town.house, (await town.delivery("BQL")).id, BY, "nhầm")
    await town.until("2023-12-06", "09:00")
    assert await town.diary("issue_wanted") == []
    with pytest.raises(ActRefused, match="chờ ban hành"):
        await issue(town, pending, "2600")
    assert (await town.hop("BQL")).letter_id is None


async def test_past_a_silent_authority_its_letter_is_not_awaited_any_more(town: Town, tmp_path: Path) -> None:
    silent = Policy(
        deadline=Deadline(working_days=1), on_silence=OnSilence.BYPASS, release=Release.ON_ACKNOWLEDGE,
        settles=Settles.COMPLETE,
    )  # fmt: skip
    pending = await go_live(town, tmp_path, policies=PLAN.policies | {"board": silent})
    await town.until("2023-12-12")
    assert (await town.hop("BQL")).opened_at is not None
    assert await town.states("INV-A", "T-OUT") == {"INV-A": State.SENT, "T-OUT": State.SENT}
    with pytest.raises(ActRefused, match="chờ ban hành"):
        await issue(town, pending, "2600")


async def test_who_joins_below_a_company_that_was_let_go_stands_in_a_case_like_the_others(opened: Town) -> None:
    await deliveries.withdraw(opened.house, (await opened.delivery("INV-A")).id, BY, "nhầm")
    await newcomer(opened, "T-NEW", parks=("P1",))
    await joining.join(opened.house, opened.campaign, "T-NEW", BY)
    assert await cases(opened, "T-NEW") == await cases(opened, "T1") == [("undeliverable", None)]


async def test_who_has_answered_and_still_owes_the_report_is_not_cut_off_unseen(town: Town) -> None:
    await town.launch(policies=PLAN.policies | {"tenant": Policy(settles=Settles.COMPLETE)})
    await town.work()
    await town.say("BQL")
    await town.work()
    await confirmations.answer(
        town.house, (await town.delivery("T1")).id, Answer(Event.ACKNOWLEDGED, "Bình", channel="phone", actor=BY)
    )
    await deliveries.withdraw(town.house, (await town.delivery("INV-A")).id, BY, "nhầm")
    assert await cases(town, "T1") == [("undeliverable", None)]


async def test_past_a_company_that_was_exempted_beforehand_those_below_get_the_letter_of_the_hop_above(
    town: Town,
) -> None:
    await town.launch()
    await town.work()
    await deliveries.exempt(town.house, (await town.delivery("INV-A")).id, BY, "giải thể")
    await town.say("BQL")
    await town.until("2023-12-05")
    assert (await town.delivery("T1")).state == State.SENT
    assert [why for _kind, why in await cases(town, "T1")] == ["opened"], "he was in a person's hands until then"


async def test_whom_a_company_has_reached_by_hand_is_reminded_though_its_hop_never_opens(opened: Town) -> None:
    await opened.until("2023-12-04", "09:00")
    await campaigns.hold(opened.house, opened.campaign, BY, "xem lại")
    tenant = (await opened.delivery("T1")).id
    await opened.pass_on("INV-A", by_hand={tenant: "giao tay"}, how="paper")
    await deliveries.withdraw(opened.house, (await opened.delivery("INV-A")).id, BY, "nhầm")
    await campaigns.resume(opened.house, opened.campaign, BY)
    await opened.until("2023-12-31")
    assert (await opened.hop("INV-A")).opened_at is None
    assert "06/12 08:00 T1 reminder" in await opened.diary(to=("T1",))
    assert ("silent", None) in await cases(opened, "T1")


async def test_those_below_were_reached_past_it_while_a_company_passed_on(
    opened: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    await opened.until("2023-12-05", "09:00")
    made = letters.company_letter

    async def meanwhile(house: House, hop_id: str, number: str, by: str) -> tuple[Draft, Rendered]:
        found = await made(house, hop_id, number, by)
        if number == "77":
            await steering.release(opened.house, opened.campaign, "INV-A", BY, "im lặng")
            await opened.work()
        return found

    monkeypatch.setattr(letters, "company_letter", meanwhile)
    await opened.pass_on("INV-A", "77")
    await opened.work()
    assert (await opened.delivery("INV-A")).state == State.FORWARDED
    assert (await opened.letter("INV-A")).state == "DRAFT", "nobody below has it"


# ------------------------------------------------------------------------------------ told of, and reached afterwards


async def test_whom_the_letter_reaches_after_all_is_silent_from_then_on_and_not_unreachable(town: Town) -> None:
    town.postbox = refuses(address("T-OUT"))
    await town.launch(audience=to("T-OUT"))
    await town.work()
    await town.say("BQL")
    await town.until("2023-12-13", "10:00")
    await deliveries.resend(town.house, (await town.delivery("T-OUT")).id, BY, address="moi@t-out.example", why="gọi")
    await town.work()
    assert (await town.delivery("T-OUT")).state == State.SENT
    assert ("silent", None) in await cases(town, "T-OUT")
    assert ("undeliverable", None) not in await cases(town, "T-OUT")


async def test_a_decision_counts_no_more_once_the_letter_was_sent_anew(town: Town) -> None:
    town.postbox = refuses(address("T-OUT"))
    await town.launch(audience=to("T-OUT"))
    await town.work()
    await town.say("BQL")
    await town.work()
    tenant = (await town.delivery("T-OUT")).id
    await escalations.decide(town.house, tenant, BY, "sẽ gửi giấy")
    await deliveries.resend(town.house, tenant, BY, address="moi@t-out.example", why="gọi")
    await town.work()
    with pytest.raises(ActRefused):
        await closing.close(town.house, town.campaign, BY)
    await town.until("2023-12-07")
    assert "06/12 08:00 T-OUT reminder" in await town.diary(to=("T-OUT",))
    assert (await town.one(Campaign)).state == "RUNNING"
