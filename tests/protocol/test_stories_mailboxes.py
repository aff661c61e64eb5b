"""The mailboxes of an organisation are tried in order; who cannot be reached is address work, never silence."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from congvan.acts import campaigns, inbox, notices, registry, waking
from congvan.acts.launch_check import refuse_faulty
from congvan.acts.launches import Launch
from congvan.mail.outgoing import Outcome, Outgoing
from congvan.rules.protocol import Event
from congvan.rules.records import Contact
from congvan.store.tables import EventRow, Message
from tests.conftest import ROOT, Postbox, text_of
from tests.contract.test_inbox import Shelf, report
from tests.protocol.test_issue import go_live
from tests.protocol.world import CASCADE, PLAN, Town, address, register, to

NAMES = ("vanthu", "hcns", "giamdoc")
OFFICES = ("QHXD", "INV_A")
THREE = tuple(Contact(email=f"{name}@t-out.example", order=n) for n, name in enumerate(NAMES, 1))


def refuses(*addresses: str) -> Postbox:
    """A mail server that knows nobody of these names."""

    def says(item: Outgoing) -> Outcome | None:
        return Outcome(item.key, "refused", 550, "5.1.1 No such user") if item.rcpt_to in addresses else None

    return Postbox(says)


async def begun(town: Town, postbox: Postbox, contacts: tuple[Contact, ...] = THREE, **more: Any) -> None:
    """The Board's letter goes to one tenant with these mailboxes."""
    await released(town, postbox, contacts, **more)
    await town.work()


async def released(town: Town, postbox: Postbox, contacts: tuple[Contact, ...] = THREE, **more: Any) -> None:
    """It is about to."""
    town.postbox = postbox
    await town.launch(audience=to("T-OUT"), people=register(T_OUT={"contacts": contacts}, **more))
    await town.work()
    await town.say("BQL")


async def test_after_a_refusal_for_good_the_next_mailbox_gets_the_letter(town: Town) -> None:
    await begun(town, refuses("vanthu@t-out.example"))
    row = await town.delivery("T-OUT")
    assert (row.state, row.address, row.mailboxes) == ("SENT", "hcns@t-out.example", ["giamdoc@t-out.example"])
    assert await town.log("T-OUT") == ["created", "opened", "readdressed", "sent"]
    assert await town.cases("T-OUT") == []
    assert len(town.postbox.to("hcns@t-out.example")) == 1


async def test_the_turn_that_was_refused_writes_to_the_next_mailbox_itself(town: Town) -> None:
    await released(town, refuses("vanthu@t-out.example", "hcns@t-out.example"))
    hop = await town.hop("BQL")
    await town.turn(hop.id)
    assert (await town.delivery("T-OUT")).state == "SENT"
    assert not await waking.needs_a_run(town.house, hop.id), "no process more for two letters more"


async def test_only_after_the_last_mailbox_it_is_undeliverable_and_a_person_is_told(town: Town) -> None:
    await begun(town, refuses(*(one.email for one in THREE)))
    row = await town.delivery("T-OUT")
    assert (row.state, row.mailboxes) == ("UNDELIVERABLE", [])
    assert await town.log("T-OUT") == ["created", "opened", "readdressed", "readdressed", "refused", "told"]
    assert [case.kind for case in await town.cases("T-OUT")] == ["undeliverable"]
    await town.until("2023-12-31")
    assert [case.kind for case in await town.cases("T-OUT")] == ["undeliverable"], "never counted as silent"
    assert await town.diary("urge", "reminder", "overdue") == []


async def test_no_mailbox_address_reaches_the_log(town: Town) -> None:
    await begun(town, refuses("vanthu@t-out.example"))
    row = await town.delivery("T-OUT")
    said = str([event.data for event in await town.all(EventRow, EventRow.stream == row.id)])
    assert "t-out.example" not in said


async def test_a_bounce_after_the_letter_was_taken_sends_it_to_the_next_mailbox(town: Town) -> None:
    await begun(town, Postbox())
    row = await town.delivery("T-OUT")
    sent = await town.one(Message, Message.delivery_id == row.id)
    local, _, domain = town.house.settings.mail_from.partition("@")
    shelf = Shelf()
    raw = report(f"{local}+{town.house.links.mail_token(row.id)}@{domain}", sent.message_id, about=sent.address)
    shelf.mails.append(raw.replace("\n", "\r\n").encode())
    await inbox.read(town.house, shelf)
    await town.work()
    row = await town.delivery("T-OUT")
    assert (row.state, row.address, row.round) == ("SENT", "hcns@t-out.example", 2)
    assert (await town.log("T-OUT"))[-2:] == ["readdressed", "sent"]


async def test_the_reminders_go_to_the_mailbox_that_took_the_letter(town: Town) -> None:
    await begun(town, refuses("vanthu@t-out.example"))
    await town.until("2023-12-06")
    assert len(town.postbox.to("hcns@t-out.example")) == 2
    assert town.postbox.to("vanthu@t-out.example") == []


async def test_a_mailbox_whose_time_is_over_is_not_tried(town: Town) -> None:
    old = Contact(email="cu@t-out.example", order=1, valid_until=date(2023, 11, 30))
    await begun(town, Postbox(), (old, *THREE[1:]))
    assert (await town.delivery("T-OUT")).address == "hcns@t-out.example"


async def test_nothing_is_sent_to_and_no_letter_names_a_mailbox_whose_time_is_over(town: Town) -> None:
    old = Contact(email="cu@old.example", order=1, valid_until=date(2023, 11, 30))
    late = {code: {"contacts": (old, Contact(email=address(code.replace("_", "-")), order=2))} for code in OFFICES}
    await town.launch(audience=to("T1"), people=register(**late))
    await town.work()
    await campaigns.hold(town.house, "8184", notices.ENGINE, "nhiều thư bị từ chối")
    assert [message.address for message in await town.all(Message, Message.kind == "notice")] == [address("QHXD")]
    await campaigns.resume(town.house, "8184", "PTB")
    await town.say("BQL")
    await town.work()
    await town.pass_on("INV-A")
    await town.work()
    (mail,) = town.postbox.to(address("T1"))
    body = text_of(mail)
    assert f"({address('INV-A')})" in body


async def test_who_is_reminded_of_a_waiting_letter_is_reached_where_his_time_is_not_over(
    town: Town, tmp_path: Path
) -> None:
    old = Contact(email="cu@old.example", order=1, valid_until=date(2023, 11, 30))
    last = Contact(email="sau@old.example", order=3, valid_until=date(2023, 12, 1))
    now = Contact(email=address("VP"), order=2)
    await go_live(town, tmp_path, people=register(VP={"contacts": (old, now, last)}))
    await town.until("2023-12-14")
    told = await town.all(Message, Message.kind == "issue_wanted", Message.recipient == "VP")
    assert len(told) > 1
    assert {message.address for message in told} == {address("VP")}


async def test_a_digest_that_a_department_refuses_goes_to_its_next_mailbox(town: Town) -> None:
    second = Contact(email="truongphong@qhxd.example", order=2)
    boxes = (Contact(email=address("QHXD"), order=1), second)
    await begun(town, refuses(address("QHXD")), THREE[:1], QHXD={"contacts": boxes})
    await town.until("2023-12-12", "09:00")
    assert [str(mail["Subject"])[:40] for mail in town.postbox.to(second.email)] != []
    assert await town.diary("digest") == ["12/12 08:00 QHXD digest"]


async def test_a_digest_that_comes_back_goes_to_the_next_mailbox_once_and_a_person_sees_it(town: Town) -> None:
    boxes = tuple(Contact(email=f"{name}@qhxd.example", order=n) for n, name in enumerate(NAMES, 1))
    await begun(town, Postbox(), THREE[:1], QHXD={"contacts": boxes})
    await town.until("2023-12-12", "09:00")
    sent = await town.one(Message, Message.kind == "digest")
    local, _, domain = town.house.settings.mail_from.partition("@")
    shelf = Shelf()
    raw = report(f"{local}+{town.house.links.mail_token(sent.id)}@{domain}", sent.message_id, about=sent.address)
    # Two servers on its way report of it, and one has said before that it passed it on.
    passed_on = raw.replace("Action: failed", "Action: relayed").replace("Message-ID: <failed", "Message-ID: <relayed")
    for one in (passed_on, raw, raw.replace("Message-ID: <failed", "Message-ID: <second")):
        shelf.mails.append(one.replace("\n", "\r\n").encode())
    assert await inbox.read(town.house, shelf) == {"relayed": 1, "bounce_hard": 2}
    await town.work()
    digests = [(to, str(mail["Subject"])) for to, mail in town.postbox.sent if to.endswith("@qhxd.example")]
    assert [to for to, _ in digests] == ["vanthu@qhxd.example", "hcns@qhxd.example"]
    assert len({subject for _, subject in digests}) == 1
    found = await inbox.unplaced(town.house)
    assert [(one["kind"], one["about"]) for one in found] == [("bounce_hard", sent.id)] * 2


async def test_an_organisation_without_a_mailbox_is_found_before_the_launch(town: Town) -> None:
    await registry.take_over(town.house, register(T1={"contacts": ()}))
    order = Launch(PLAN, CASCADE, "exercise", "An", ROOT / "config" / "campaigns")
    found: list[str] = []
    await refuse_faulty(town.house, order, "", lambda remark: found.append(str(remark)))
    (told,) = (one for one in found if "hộp thư" in one)
    assert "Tổ chức T1 (T1) không có hộp thư còn hiệu lực" in told


async def test_who_has_no_mailbox_is_address_work_from_the_start(town: Town) -> None:
    await begun(town, Postbox(), ())
    row = await town.delivery("T-OUT")
    assert (row.state, [case.kind for case in await town.cases("T-OUT")]) == ("UNDELIVERABLE", ["undeliverable"])
    assert Event.REFUSED.value in await town.log("T-OUT")
