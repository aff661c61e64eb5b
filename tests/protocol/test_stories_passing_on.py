"""A directive goes down the chain, hop by hop; what each recipient gets, and who gets none."""

from __future__ import annotations

import hashlib
import unicodedata
from datetime import date
from email.message import EmailMessage
from pathlib import Path

import pytest

from congvan.acts import confirmations, deliveries, letters
from congvan.errors import ActRefused, BadInput
from congvan.letters.numbering import short_day
from congvan.rules.protocol import Event, State
from congvan.rules.records import Organisation, Release
from congvan.store.tables import Campaign, Delivery, EventRow, File, Hop, Letter, Message, WayRow
from tests.conftest import at, text_of
from tests.protocol.world import CASCADE, ESCALATE, PLAN, Town, address, newcomer, register
from tests.signing import signed


def files(message: EmailMessage) -> dict[str, str]:
    """The enclosed files: name → SHA-256."""
    return {
        str(part.get_filename()): hashlib.sha256(part.get_payload(decode=True)).hexdigest()  # type: ignore[arg-type]
        for part in message.iter_attachments()
        if part.get_filename()
    }


async def sign(town: Town, number: str = "2745") -> letters.Issued:
    """The clerk fills number and date in, the leader signs the page that the engine made."""
    letter = await town.letter("BQL")
    made = await letters.to_sign(town.house, letter.id, number, date(2023, 12, 1))
    return letters.Issued(number, date(2023, 12, 1), "Văn thư", signed(made.pdf))


async def live_town(town: Town, folder: Path) -> None:
    """A live campaign whose City document is at hand, registered by the Board's office."""
    (folder / "8184.pdf").write_bytes(b"%PDF-1.7 the City's own document\n%%EOF\n")
    directive = PLAN.directives[0].model_copy(update={"files": ("8184.pdf",)})
    await town.launch(mode="live", directives=(directive,), folder=folder)
    await town.work()
    await town.say("BQL")
    await town.work()


# ------------------------------------------------------------------------------------ down the chain


async def test_a_file_from_above_bears_its_name_in_nfc_whatever_the_disk_has(town: Town, tmp_path: Path) -> None:
    (tmp_path / unicodedata.normalize("NFD", "văn bản.pdf")).write_bytes(b"%PDF-1.7\n%%EOF\n")
    directive = PLAN.directives[0].model_copy(update={"files": ("văn bản.pdf",)})
    await town.launch(directives=(directive,), folder=tmp_path)
    (campaign,) = await town.all(Campaign)
    assert [(one["name"], one["media_type"]) for one in campaign.upstream] == [("văn bản.pdf", "application/pdf")]


async def test_the_mail_with_the_slip_tells_of_every_document_that_came(town: Town) -> None:
    first = PLAN.directives[0]
    second = first.model_copy(
        update={"code": "77/UBND-XD", "subject": "rà soát kho chứa", "arrived_on": first.issued_on}
    )
    await town.launch(directives=(first, second))
    await town.work()
    (mail,) = town.postbox.to(address("BQL"))
    said = text_of(mail)
    assert f"{first.subject}; rà soát kho chứa" in said
    days = (short_day(first.arrived_on), short_day(first.issued_on))
    assert f"Ngày đến: {'; '.join(f'số đến {first.arrival_number} ngày {day}' for day in days)}" in said


async def test_a_directive_goes_down_hop_by_hop_and_each_opens_once(town: Town) -> None:
    await town.launch()
    assert [hop.state for hop in await town.all(Hop)] == ["WAITING"] * 4
    await town.work()
    assert await town.diary() == ["01/12 08:00 BQL slip"]

    town.clock.set(at("2023-12-01", "09:00"))
    await town.say("BQL")
    await town.work()
    assert await town.diary("letter") == [f"01/12 09:00 {code} letter" for code in ("INV-A", "INV-B", "T-OUT", "VP")]

    town.clock.set(at("2023-12-01", "10:00"))
    await town.pass_on("INV-A", "12")
    await town.work()
    reached = [f"01/12 10:00 {code} letter" for code in ("T-BOTH", "T-CHEM", "T1", "T2")]
    assert await town.diary("letter", to=("T1", "T2", "T-CHEM", "T-BOTH", "T3")) == reached

    for hop in await town.all(Hop):
        await town.turn(hop.id)
    await town.work()
    assert {one: count for one, count in town.postbox.ids().items() if count > 1} == {}
    for issuer, opened in {"UBND-HP": 1, "BQL": 1, "INV-A": 1, "INV-B": 0}.items():
        hop = await town.hop(issuer)
        events = [event.kind for event in await town.all(EventRow, EventRow.stream == hop.id)]
        assert events.count("opened") == opened, issuer


async def test_the_same_plan_launched_twice_is_one_campaign(town: Town) -> None:
    first = await town.launch()
    assert await town.launch() == first
    assert len(await town.all(Campaign)) == 1
    with pytest.raises(ActRefused, match="kế hoạch khác"):
        await town.launch(title="Một đợt khác")


async def test_two_campaigns_whose_codes_would_be_joined_alike_are_told_apart_by_another_code(town: Town) -> None:
    await newcomer(town, "X-T1", parks=("P1",))
    await town.launch(code="A")
    with pytest.raises(ActRefused, match="A-X-T1 đã có trong một đợt khác"):
        await town.launch(code="A-X")
    assert [one.code for one in await town.all(Campaign)] == ["A"]
    await town.launch(code="A.X")


async def test_a_plan_that_cannot_work_changes_nothing(town: Town) -> None:
    with pytest.raises(BadInput):
        await town.launch(mode="live")  # the City's file is not at hand
    assert await town.all(Campaign) == []


async def test_the_route_is_frozen_at_launch(town: Town) -> None:
    await town.launch()
    changed = register(T3={"contacts": ()}, T1={"name": "Tên mới"})
    await town.launch(people=changed)
    await town.work()
    assert (await town.delivery("T1")).name == "Tổ chức T1"
    assert (await town.delivery("T3")).address == address("T3")


async def test_nothing_leaves_for_who_has_to_wait_for_an_investor(opened: Town) -> None:
    await opened.say("INV-A")
    await opened.say("INV-A", Event.STARTED)
    await opened.work()
    assert await opened.states("INV-A", "T1", "T-BOTH") == {"INV-A": "IN_PROGRESS", "T1": "QUEUED", "T-BOTH": "QUEUED"}
    assert opened.postbox.to(address("T1")) == []


# ------------------------------------------------------------------------------------ the issue


async def test_nothing_leaves_before_the_letter_is_issued(town: Town, tmp_path: Path) -> None:
    await live_town(town, tmp_path)
    board = await town.hop("BQL")
    assert board.state == "PENDING_ISSUE"
    letter = await town.letter("BQL")
    assert (letter.state, letter.awaits, letter.number) == ("PENDING_ISSUE", "VP", None)
    assert await town.diary("letter", "copy") == []

    town.clock.set(at("2023-12-01", "15:00"))
    await letters.issue(town.house, letter.id, await sign(town))
    await town.work()
    assert await town.diary("letter", to=("INV-A", "T1")) == ["01/12 15:00 INV-A letter"]
    assert (await town.letter("BQL")).symbol == "2745/BQL-QHXD"


async def test_the_signed_file_is_what_leaves_byte_for_byte(town: Town, tmp_path: Path) -> None:
    await live_town(town, tmp_path)
    entered = await sign(town)
    assert entered.signed is not None
    await letters.issue(town.house, (await town.letter("BQL")).id, entered)
    await town.work()
    sent = files(town.postbox.to(address("INV-A"))[0])
    assert sent["2745_BQL-QHXD.pdf"] == hashlib.sha256(entered.signed).hexdigest()
    assert sent["8184.pdf"] == hashlib.sha256(b"%PDF-1.7 the City's own document\n%%EOF\n").hexdigest()


async def test_in_a_live_campaign_the_engine_issues_nothing_itself(town: Town, tmp_path: Path) -> None:
    await live_town(town, tmp_path)
    letter = await town.letter("BQL")
    with pytest.raises(ActRefused):
        await letters.play_issue(town.house, letter.id, "engine")
    with pytest.raises(ActRefused, match="tệp PDF đã ký"):
        await letters.issue(town.house, letter.id, letters.Issued("2745", date(2023, 12, 1), "Văn thư"))
    assert (await town.letter("BQL")).state == "PENDING_ISSUE"


async def test_issuing_twice_is_issuing_once(town: Town, tmp_path: Path) -> None:
    await live_town(town, tmp_path)
    letter = await town.letter("BQL")
    first = await letters.issue(town.house, letter.id, await sign(town))
    again = await letters.issue(town.house, letter.id, await sign(town, "2746"))
    assert (again.number, again.sha256) == (first.number, first.sha256)
    assert first.number == 2745


async def test_who_holds_a_letter_that_awaits_its_issue_is_chased_like_everyone_else(
    town: Town, tmp_path: Path
) -> None:
    await live_town(town, tmp_path)
    await town.until("2023-12-12", "18:00")
    chased = await town.diary("issue_wanted")
    assert chased[0].endswith("VP issue_wanted")
    assert chased[0] >= "04/12", "not before the end of the next working day"
    assert {line.split()[2] for line in chased} == {"VP", "QHXD"}
    assert await town.diary("letter") == []
    letter = await town.letter("BQL")
    assert letter.awaits is not None
    assert letter.awaits_until is not None
    assert letter.awaits_until > await town.house.clock.now()


async def test_the_letter_prints_the_deadline_that_everybody_is_held_to(opened: Town) -> None:
    letter, board = await opened.letter("BQL"), await opened.hop("BQL")
    due = at("2023-12-08", "17:00")
    assert letters.printed_due(letter) == board.due_at == (await opened.delivery("T-OUT")).due_at == due
    assert "17 giờ 00" in letter.html
    assert "08/12/2023" in letter.html


async def test_a_company_that_passes_on_late_gives_those_below_their_own_minimum(opened: Town) -> None:
    await opened.until("2023-12-07", "09:00")
    await opened.pass_on("INV-A")
    await opened.work()
    assert (await opened.delivery("T1")).due_at == at("2023-12-12", "17:00")
    assert (await opened.delivery("INV-A")).due_at == at("2023-12-08", "17:00")


# ------------------------------------------------------------------------------------ what is enclosed


async def test_a_tenant_gets_three_documents_whose_hashes_the_ledger_knows(opened: Town) -> None:
    await opened.pass_on("INV-A", "12")
    await opened.work()
    (mail,) = opened.postbox.to(address("T1"))
    sent = files(mail)
    company, board = await opened.letter("INV-A"), await opened.letter("BQL")
    campaign = await opened.one(Campaign)
    assert list(sent.values()) == [company.sha256, board.sha256, campaign.upstream[0]["sha256"]]
    kept = {file.sha256: hashlib.sha256(file.data).hexdigest() for file in await opened.all(File)}
    assert all(kept[sha256] == sha256 for sha256 in sent.values())
    assert all(name.endswith(".pdf") for name in sent)


async def test_the_boards_slip_stays_in_the_boards_office(opened: Town) -> None:
    await opened.pass_on("INV-A")
    await opened.work()
    slip = await opened.letter("UBND-HP")
    assert slip.kind == "slip"
    for code in ("T1", "T2"):
        assert slip.sha256 not in files(opened.postbox.to(address(code))[0]).values()


async def test_a_company_may_pass_on_its_own_pdf(opened: Town) -> None:
    own = b"%PDF-1.4 our own letterhead"
    await opened.pass_on("INV-A", "7", own_pdf=own)
    await opened.work()
    assert hashlib.sha256(own).hexdigest() in files(opened.postbox.to(address("T1"))[0]).values()
    assert (await opened.letter("INV-A")).sha256 == hashlib.sha256(own).hexdigest()


async def test_a_company_without_a_register_passes_on_without_a_number(opened: Town) -> None:
    await opened.pass_on("INV-A")
    letter = await opened.letter("INV-A")
    assert (letter.state, letter.number, letter.symbol) == ("ISSUED", None, "")
    assert letter.issued_on == date(2023, 12, 1)


async def test_every_letter_comes_from_the_boards_mailbox_and_answers_return_to_the_delivery(opened: Town) -> None:
    await opened.pass_on("INV-A")
    await opened.work()
    (mail,) = opened.postbox.to(address("T1"))
    assert "congvan@bql.example" in mail["From"]
    assert "thay mặt" in mail["From"]
    assert (await opened.delivery("T1")).id in mail["Reply-To"]
    assert mail["Auto-Submitted"] == "auto-generated"


async def test_copies_go_to_those_in_noi_nhan_and_ask_nothing_of_them(town: Town) -> None:
    await town.launch()
    await town.work()
    await town.say("BQL")
    await town.work()
    assert await town.diary("copy") == ["01/12 08:00 PTB copy", "01/12 08:00 TB copy", "01/12 08:00 UBND-HP copy"]
    assert await town.all(Delivery, Delivery.recipient.in_(("TB", "PTB", "UBND-HP"))) == []
    letter = await town.letter("BQL")
    assert letter.sha256 in files(town.postbox.to(address("UBND-HP"))[0]).values()
    await town.until("2023-12-08")
    assert await town.diary("reminder") != []
    assert await town.diary("reminder", to=("TB", "PTB", "UBND-HP")) == []


# ------------------------------------------------------------------------------------ one obligation


async def test_a_tenant_in_two_parks_gets_one_letter_from_the_investor_who_is_first(opened: Town) -> None:
    await opened.pass_on("INV-B")
    await opened.work()
    await opened.pass_on("INV-A")
    await opened.work()
    assert len(opened.postbox.to(address("T-BOTH"))) == 1
    row = await opened.delivery("T-BOTH")
    assert row.hop_id == (await opened.hop("INV-B")).id, "who opens first carries it"
    assert (await opened.log("T-BOTH"))[-1] == "another_way"
    assert {way.hop_id for way in await opened.all(WayRow, WayRow.delivery_id == row.id)} == {
        (await opened.hop("INV-A")).id,
        (await opened.hop("INV-B")).id,
    }


async def test_a_tenant_who_answered_the_one_letter_is_not_written_to_by_the_other(opened: Town) -> None:
    await opened.pass_on("INV-B")
    await opened.work()
    await opened.say("T-BOTH")
    await opened.pass_on("INV-A")
    await opened.work()
    assert len(opened.postbox.to(address("T-BOTH"))) == 1
    assert (await opened.delivery("T-BOTH")).state == State.ACKNOWLEDGED


async def test_the_drafting_unit_does_not_answer_its_own_letter(opened: Town) -> None:
    assert (await opened.delivery("QHXD")).state == State.EXEMPT
    await opened.until("2023-12-08")
    assert await opened.diary("letter", "reminder", to=("QHXD",)) == []
    assert await opened.log("QHXD") == ["created", "another_way"]


async def test_an_investor_without_tenants_only_acknowledges(town: Town) -> None:
    whole = register()
    lonely = Organisation.model_validate(
        whole.organisations[-1].model_dump() | {"code": "INV-C", "name": "C", "level": "investor"}
    )
    await town.launch(people=whole.model_copy(update={"organisations": (*whole.organisations, lonely)}))
    await town.work()
    await town.say("BQL")
    await town.work()
    row = await town.delivery("INV-C")
    assert (row.settles, row.child_hop_id) == ("acknowledge", None)
    await town.say("INV-C")
    assert (await town.delivery("INV-C")).settled_at is not None


# ------------------------------------------------------------------------------------ standing authority and bypass


async def test_under_a_standing_written_authority_acknowledging_opens_the_hop_below(town: Town) -> None:
    policy = ESCALATE.model_copy(update={"release": Release.ON_ACKNOWLEDGE})
    people = register(INV_A={"standing_authority": "Giấy ủy quyền 01/2023"})
    await town.launch(people=people, policies=PLAN.policies | {"investor": policy})
    await town.work()
    await town.say("BQL")
    await town.work()
    await town.say("INV-A")
    await town.say("INV-B")
    await town.work()
    assert await town.states("INV-A", "T1", "INV-B", "T3") == {
        "INV-A": "FORWARDED", "T1": "SENT", "INV-B": "ACKNOWLEDGED", "T3": "QUEUED",
    }  # fmt: skip


async def test_past_a_silent_investor_the_boards_own_letter_goes_to_those_below(opened: Town) -> None:
    await opened.pass_on("INV-A")
    await opened.until("2023-12-11", "17:00")
    assert await opened.diary("bypass") == ["11/12 17:00 T3 bypass"]
    (mail,) = opened.postbox.to(address("T3"))
    board = await opened.letter("BQL")
    campaign = await opened.one(Campaign)
    assert list(files(mail).values()) == [board.sha256, campaign.upstream[0]["sha256"]]
    assert "thay mặt" not in mail["From"]
    assert (await opened.letter("INV-B")).state == "DRAFT", "nothing was said in the company's name"
    assert (await opened.delivery("T3")).due_at == at("2023-12-14", "17:00")


async def test_after_a_bypass_a_later_passing_on_sends_nothing_again(opened: Town) -> None:
    await opened.pass_on("INV-A")
    await opened.until("2023-12-12", "10:00")
    receipt = await opened.pass_on("INV-B", "9")
    assert (receipt.state, receipt.late) == (State.FORWARDED, True)
    await opened.work()
    assert await opened.diary("letter", "bypass", to=("T3",)) == ["11/12 17:00 T3 bypass"]
    assert (await opened.letter("INV-B")).state == "DRAFT"
    assert [case.closed_why for case in await opened.cases("INV-B")] == ["forwarded"]


async def test_a_silent_investor_whose_policy_says_so_keeps_the_way_shut(town: Town) -> None:
    await town.launch(policies=PLAN.policies | {"investor": ESCALATE})
    await town.work()
    await town.say("BQL")
    await town.until("2023-12-11", "17:00")
    assert await town.states("INV-A", "T1", "T3") == {"INV-A": "SENT", "T1": "QUEUED", "T3": "QUEUED"}
    assert await town.diary("bypass") == []
    await town.pass_on("INV-A")
    await town.work()
    assert (await town.delivery("T1")).state == State.SENT, "a late passing-on still opens the way"


# ------------------------------------------------------------------------------------ who is turned away


async def test_a_company_cannot_issue_an_authoritys_letter(town: Town, tmp_path: Path) -> None:
    await live_town(town, tmp_path)
    with pytest.raises(ActRefused, match="ban hành văn bản"):
        await town.pass_on("BQL", "5")
    assert (await town.letter("BQL")).state == "PENDING_ISSUE"


async def test_an_investor_without_a_mailbox_is_address_work_from_the_first_minute(town: Town) -> None:
    await town.launch(people=register(INV_B={"contacts": ()}))
    await town.work()
    await town.say("BQL")
    await town.work()
    assert (await town.delivery("INV-B")).state == State.UNDELIVERABLE
    assert [case.kind for case in await town.cases("INV-B")] == ["undeliverable"]
    row = await town.delivery("INV-B")
    await deliveries.resend(town.house, row.id, "QHXD", address="moi@inv-b.example", why="đã gọi điện")
    await town.work()
    assert len(town.postbox.to("moi@inv-b.example")) == 1
    assert (await town.delivery("INV-B")).state == State.SENT


async def test_what_the_ledger_calls_sent_is_what_the_postbox_holds(opened: Town) -> None:
    before = {message.id for message in await opened.all(Message)}
    await opened.pass_on("INV-A")
    await opened.until("2023-12-12")
    sent = await opened.all(Message, Message.state == "SENT", Message.id.not_in(before))
    assert {message.message_id.strip("<>") for message in sent} == {one.strip("<>") for one in opened.postbox.ids()}
    assert len(sent) == len(opened.postbox.sent) > 20


async def test_opening_a_page_settles_nothing(opened: Town) -> None:
    await confirmations.seen(opened.house, (await opened.delivery("VP")).id)
    assert (await opened.delivery("VP")).state == State.DELIVERED
    await confirmations.seen(opened.house, (await opened.delivery("VP")).id)
    assert (await opened.log("VP")).count("arrived") == 1
    await opened.until("2023-12-06")
    assert await opened.diary("reminder", to=("VP",)) == ["06/12 08:00 VP reminder"]


async def test_an_opened_hop_names_its_recipients_in_its_log(opened: Town) -> None:
    assert (await opened.log("VP"))[:2] == ["created", "opened"]
    assert CASCADE.drafting_unit == "QHXD"
    assert (await opened.hop("INV-A")).state == "WAITING"
    assert (await opened.one(Letter, Letter.issuer == "INV-A")).state == "DRAFT", "what the investor's page shows"
