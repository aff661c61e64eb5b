"""What recipients may ask and do beside their answer: left out, passed to a colleague, reached by hand, a receipt."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from congvan.acts import audit, closing, confirmations, deciding, delegates, opening, receipts, requests, retention
from congvan.acts.deciding import Verdict
from congvan.errors import ActRefused, BadInput, LinkInvalid, LinkRevoked
from congvan.links import Link
from congvan.rules.protocol import Event, State
from congvan.rules.records import Policy
from congvan.rules.retention import Retention
from congvan.store.tables import Delegate, Delivery, EventRow, Letter, Request
from tests.conftest import at, text_of
from tests.protocol.world import PLAN, Town, address, register

WHY = {"reason": "Công ty không có nhà xưởng.", "name": "Trần Thị Mẫu", "position": "Văn thư"}


# ------------------------------------------------------------------------------------ "it does not apply to us"


async def _asked(town: Town, code: str = "T-OUT") -> str:
    row = await town.delivery(code)
    return await requests.ask_to_be_left_out(town.house, row.id, WHY, await town.link(code))


async def test_who_asks_to_be_left_out_still_owes_its_answer_and_a_person_is_told(outside: Town) -> None:
    await _asked(outside)
    row = await outside.delivery("T-OUT")
    assert row.state == State.SENT
    assert [case.kind for case in await outside.cases("T-OUT")] == ["rejected"]
    await outside.until("2023-12-04", "09:00")
    (digest,) = [mail for mail in outside.postbox.to(address("QHXD")) if "Tổng hợp" in str(mail["Subject"])]
    assert "Công ty không có nhà xưởng." in text_of(digest)
    await outside.until("2023-12-06", "09:00")
    assert "06/12 08:00 T-OUT reminder" in await outside.diary("reminder", to=("T-OUT",))


async def test_asking_twice_is_one_request(outside: Town) -> None:
    assert await _asked(outside) == await _asked(outside)
    assert len(await outside.all(Request)) == 1


async def test_a_mailbox_is_taken_up_and_written_to_or_neither(outside: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A decision of which only half was done could not be taken again."""
    row = await outside.delivery("T-OUT")
    words = {"email": "moi@t-out.example", "contact_name": "Bình", "by": "Hoa"}
    key = await requests.propose_contact(outside.house, row.id, words, None)
    verdict = Verdict(accept=True, by="Bà Mẫu", readdress=True)
    with monkeypatch.context() as harm:
        harm.setattr(opening, "letter_mail", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await deciding.decide(outside.house, key, verdict)
    assert (await outside.one(Request)).state == "OPEN"
    await deciding.decide(outside.house, key, verdict)
    await outside.work()
    assert (await outside.one(Request)).state == "ACCEPTED"
    assert len(outside.postbox.to("moi@t-out.example")) == 1


async def test_an_accepted_request_exempts_and_closes_the_case(outside: Town) -> None:
    key = await _asked(outside)
    await deciding.decide(outside.house, key, Verdict(accept=True, by="Bà Mẫu"))
    row = await outside.delivery("T-OUT")
    assert (row.state, row.reason) == (State.EXEMPT, WHY["reason"])
    assert [case.closed_by for case in await outside.cases("T-OUT")] == ["Bà Mẫu"]
    assert (await outside.log("T-OUT"))[-1] == "request_decided"
    with pytest.raises(ActRefused):
        await deciding.decide(outside.house, key, Verdict(accept=False, by="B", why="khác"))


async def test_a_declined_request_is_answered_and_the_letter_is_owed_as_before(outside: Town) -> None:
    key = await _asked(outside)
    await deciding.decide(outside.house, key, Verdict(accept=False, by="Bà Mẫu", why="Áp dụng cho mọi đơn vị."))
    await outside.work()
    mail = outside.postbox.to(address("T-OUT"))[-1]
    assert "Vẫn cần trả lời" in str(mail["Subject"])
    assert "Áp dụng cho mọi đơn vị." in text_of(mail)
    assert [case.closed_why for case in await outside.cases("T-OUT")] == ["declined"]
    await outside.until("2023-12-12", "09:00")
    assert [case.kind for case in await outside.cases("T-OUT")] == ["rejected", "silent"]
    assert (await audit.audit(outside.house, outside.campaign)).findings == []


async def test_who_confirms_after_all_leaves_no_case_behind(outside: Town) -> None:
    await _asked(outside)
    await outside.say("T-OUT")
    assert [case.closed_at is not None for case in await outside.cases("T-OUT")] == [True]


async def test_a_request_declined_after_a_late_answer_opens_no_case_anew(outside: Town) -> None:
    key = await _asked(outside)
    await outside.until("2023-12-12", "09:00")
    await outside.say("T-OUT")
    await deciding.decide(outside.house, key, Verdict(accept=False, by="Bà Mẫu", why="Áp dụng cho mọi đơn vị."))
    assert [case.kind for case in await outside.cases("T-OUT") if case.closed_at is None] == []


async def test_a_request_needs_a_reason_and_an_open_obligation(outside: Town) -> None:
    row = await outside.delivery("T-OUT")
    with pytest.raises(ActRefused):
        await requests.ask_to_be_left_out(outside.house, row.id, WHY | {"reason": "  "}, None)
    await outside.say("T-OUT")
    with pytest.raises(ActRefused):
        await _asked(outside)


# ------------------------------------------------------------------------------------ a colleague


async def _passed(town: Town, to: str = "phap-che@t-out.example") -> Link:
    row = await town.delivery("T-OUT")
    key = await delegates.delegate(town.house, row.id, to, "Lê Văn Mẫu", "Trần Thị Mẫu", await town.link("T-OUT"))
    await town.work()
    return await delegates.behind(town.house, Link(key, "delegate", row.link_version, at("2030-01-01")))


async def test_a_colleague_gets_a_link_of_its_own_and_the_address_stays(outside: Town) -> None:
    link = await _passed(outside)
    (mail,) = outside.postbox.to("phap-che@t-out.example")
    assert "Trần Thị Mẫu (Tổ chức T-OUT) chuyển Ông/Bà xử lý" in text_of(mail)
    row = await outside.delivery("T-OUT")
    assert row.address == address("T-OUT")
    said = confirmations.Answer(Event.ACKNOWLEDGED, "Lê Văn Mẫu", "Pháp chế", segment_ticked=True)
    await confirmations.answer(outside.house, row.id, said, link)
    (event,) = await outside.all(EventRow, EventRow.stream == row.id, EventRow.kind == "acknowledged")
    assert (event.actor, event.data["delegate"]) == ("delegate", link.delegate)
    await outside.work()
    receipt = outside.postbox.to(address("T-OUT"))[-1]
    assert "Đã ghi nhận" in str(receipt["Subject"]), "the organisation's own mailbox is told"
    assert event.hash[:12] in text_of(receipt)


async def test_reminders_still_go_to_the_organisations_own_mailbox(outside: Town) -> None:
    await _passed(outside)
    await outside.until("2023-12-06", "09:00")
    assert len(outside.postbox.to("phap-che@t-out.example")) == 1
    assert "06/12 08:00 T-OUT reminder" in await outside.diary("reminder", to=("T-OUT",))
    assert len(outside.postbox.to(address("T-OUT"))) == 1


@pytest.mark.parametrize("to", ["ai-do@khac.example", "cong-ty@gmail.com", "x@sub.t-out.example"])
async def test_a_page_is_passed_to_nobody_outside_the_organisation(outside: Town, to: str) -> None:
    row = await outside.delivery("T-OUT")
    with pytest.raises(ActRefused):
        await delegates.delegate(outside.house, row.id, to, "", "A", await outside.link("T-OUT"))
    assert await outside.all(Delegate) == []


async def test_the_same_colleague_gets_one_mail_and_a_sixth_none(outside: Town) -> None:
    await _passed(outside)
    await _passed(outside, "Phap-Che@t-out.example")
    assert len(outside.postbox.to("phap-che@t-out.example")) == 1
    for number in range(2, 6):
        await _passed(outside, f"so-{number}@t-out.example")
    with pytest.raises(ActRefused):
        await _passed(outside, "so-6@t-out.example")


async def test_a_colleague_neither_refuses_the_letter_nor_answers_after_the_links_ended(outside: Town) -> None:
    link = await _passed(outside)
    row = await outside.delivery("T-OUT")
    refusal = confirmations.Answer(Event.REJECTED, "A", reason="không")
    with pytest.raises(ActRefused):
        await confirmations.answer(outside.house, row.id, refusal, link)
    async with outside.house.store.act() as ledger:
        await ledger.change(Delivery, Delivery.id == row.id, link_version=2)
    with pytest.raises(LinkRevoked):
        await confirmations.answer(outside.house, row.id, confirmations.Answer(Event.ACKNOWLEDGED, "A"), link)
    with pytest.raises(LinkInvalid):
        await delegates.behind(outside.house, Link("f" * 32, "delegate", 1, at("2030-01-01")))


async def test_a_colleagues_mailbox_is_purged_with_the_others(outside: Town) -> None:
    await _passed(outside)
    await closing.close(outside.house, outside.campaign, "A", now_matter_what=True)
    outside.clock.set(at("2024-02-20"))
    await retention.purge(outside.house, Retention(contacts_months=1, mail_months=1), "A")
    (one,) = await outside.all(Delegate)
    assert (one.address, one.name, one.named_by) == ("", "", "")
    assert (await audit.audit(outside.house, outside.campaign)).findings == []


# ------------------------------------------------------------------------------------ reached by hand


async def _by_hand(town: Town, *codes: str, **more: object) -> confirmations.Receipt:
    evidence = {(await town.delivery(code)).id: f"Công văn giấy, ký nhận {code}" for code in codes}
    return await town.pass_on("INV-A", by_hand=evidence, how="paper", on_day=date(2023, 12, 1), **more)


async def test_whom_the_company_reached_by_itself_gets_no_letter_and_the_others_do(opened: Town) -> None:
    receipt = await _by_hand(opened, "T1", "T2")
    await opened.work()
    assert receipt.state is State.FORWARDED
    assert opened.postbox.to(address("T1")) == opened.postbox.to(address("T2")) == []
    assert len(opened.postbox.to(address("T-CHEM"))) == 1
    assert await opened.states("T1", "T2", "T-CHEM") == {"T1": "SENT", "T2": "SENT", "T-CHEM": "SENT"}
    assert (await opened.delivery("T1")).due_at == (await opened.delivery("T-CHEM")).due_at
    row = await opened.delivery("T1")
    (event,) = await opened.all(EventRow, EventRow.stream == row.id, EventRow.kind == "reached_by_issuer")
    assert event.data == {
        "by": "INV-A", "how": "paper", "day": "2023-12-01", "evidence": "Công văn giấy, ký nhận T1", "file": False,
    }  # fmt: skip
    assert (event.actor, event.channel) == ("issuer", "paper")
    assert "another_way" not in await opened.log("T1")
    assert (await audit.audit(opened.house, opened.campaign)).findings == []


async def test_who_was_reached_by_hand_is_reminded_and_escalated_like_the_others(opened: Town) -> None:
    await _by_hand(opened, "T1")
    await opened.until("2023-12-06", "09:00")
    assert "06/12 08:00 T1 reminder" in await opened.diary("reminder", to=("T1",))
    await opened.until("2023-12-12", "09:00")
    assert [case.kind for case in await opened.cases("T1")] == ["silent"]


async def test_who_has_no_mailbox_can_be_reached_by_hand_and_is_not_undeliverable(town: Town) -> None:
    await town.launch(people=register(T1={"contacts": ()}))
    await town.work()
    await town.say("BQL")
    await town.work()
    await _by_hand(town, "T1")
    await town.work()
    assert (await town.delivery("T1")).state == State.SENT
    await town.until("2023-12-12", "09:00")
    assert [case.kind for case in await town.cases("T1")] == ["silent"]


@pytest.mark.parametrize("said", [Event.ACKNOWLEDGED, Event.STARTED])
async def test_who_has_no_mailbox_and_acknowledged_by_telephone_keeps_no_hop_shut(town: Town, said: Event) -> None:
    policies = {**PLAN.policies, "tenant": Policy.model_validate({"settles": "complete"})}
    await town.launch(people=register(T1={"contacts": ()}), policies=policies)
    await town.work()
    await town.say("BQL")
    await town.work()
    await town.say("T1", said, channel="phone", actor="QHXD")
    await town.pass_on("INV-A")
    await town.work()
    assert (await town.hop("INV-A")).state == "OPEN"
    assert (await town.delivery("T2")).state == State.SENT
    row = await town.delivery("T1")
    assert row.state == (State.ACKNOWLEDGED if said is Event.ACKNOWLEDGED else State.IN_PROGRESS)
    assert row.due_at == (await town.delivery("T2")).due_at
    assert await town.cases("T1") == []
    await town.until("2023-12-12", "09:00")
    assert [case.kind for case in await town.cases("T1")] == ["silent"], "the report is still owed"


async def test_all_reached_by_hand_with_their_own_letter_kept_as_evidence(opened: Town) -> None:
    await _by_hand(opened, "T1", "T2", "T-CHEM", "T-BOTH", own_pdf=b"%PDF-1.7\nown\n%%EOF\n")
    await opened.work()
    assert all(opened.postbox.to(address(code)) == [] for code in ("T1", "T2", "T-CHEM", "T-BOTH"))
    assert (await opened.delivery("INV-A")).state == State.FORWARDED
    letter: Letter = await opened.letter("INV-A")
    async with opened.house.store.view() as ledger:
        assert letter.sha256 is not None
        assert await ledger.file(letter.sha256) == b"%PDF-1.7\nown\n%%EOF\n"
    await opened.pass_on("INV-B")
    await opened.work()
    assert opened.postbox.to(address("T-BOTH")) == [], "one obligation: who was reached gets no second letter"


async def test_nobody_outside_its_branch_is_reached_by_a_company(opened: Town) -> None:
    with pytest.raises(ActRefused):
        await _by_hand(opened, "T3")
    assert (await opened.delivery("INV-A")).state == State.SENT
    assert (await opened.delivery("T3")).due_at is None


# ------------------------------------------------------------------------------------ receipts


async def test_a_receipt_is_mailed_once_for_each_answer(outside: Town) -> None:
    row = await outside.delivery("T-OUT")
    with pytest.raises(ActRefused):
        await receipts.send(outside.house, row.id, await outside.link("T-OUT"))
    await outside.say("T-OUT")
    assert await receipts.send(outside.house, row.id, await outside.link("T-OUT"))
    assert not await receipts.send(outside.house, row.id, await outside.link("T-OUT"))
    await outside.work()
    mail = outside.postbox.to(address("T-OUT"))[-1]
    said = text_of(mail)
    assert "Trạng thái: đã tiếp nhận" in said
    assert "08 giờ 00 ngày 01/12/2023" in said
    assert "8184-T-OUT" in said
    old = Link(row.id, "answer", 9, at("2030-01-01"))
    with pytest.raises(LinkRevoked):
        await receipts.send(outside.house, row.id, old)


async def test_a_list_of_shared_domains_that_is_wrong_is_named_by_line_and_lets_nobody_through(
    outside: Town, tmp_path: Path
) -> None:
    (tmp_path / "shared_domains.yaml").write_text("domains: [gmail]\n", "utf-8")
    outside.house.settings = outside.house.settings.model_copy(update={"config": tmp_path})
    row = await outside.delivery("T-OUT")
    with pytest.raises(BadInput, match=r"shared_domains.yaml, dòng 1"):
        await delegates.delegate(outside.house, row.id, "x@t-out.example", "", "A", await outside.link("T-OUT"))
