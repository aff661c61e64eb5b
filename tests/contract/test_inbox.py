"""What comes back is taken in once, put beside its delivery, and confirms nothing. Read from a real IMAP server."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import nullcontext
from zlib import crc32

import pytest
from imap_tools import MailBoxUnencrypted
from sqlalchemy import Engine, event, select
from sqlalchemy.exc import DataError, IntegrityError, OperationalError

from bench.outbox_world import fill
from congvan.acts import deliveries, inbox, outbox
from congvan.acts.history import history
from congvan.house import House
from congvan.mail.imap import Fetched, Mailbox, MailboxUnreadable
from congvan.store.tables import Campaign, Case, Delivery, Incoming, Message
from tests.conftest import Postbox
from tests.contract.conftest import PASSWORD, free_port


class Shelf:
    """A mailbox in memory, numbered like a real one."""

    name = "congvan@bql.example/INBOX"

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.uidvalidity = 7

    async def newer(self, uidvalidity: int, uid: int) -> AsyncIterator[Fetched]:
        for number, raw in enumerate(self.mails, 1):
            if uidvalidity != self.uidvalidity or number > uid:
                yield Fetched(self.uidvalidity, number, raw)


class Office:
    """A house whose one letter has left, and the mailbox in which answers lie."""

    def __init__(self, house: House, postbox: Postbox, shelf: Shelf) -> None:
        self.house, self.postbox, self.shelf = house, postbox, shelf

    async def delivery(self) -> Delivery:
        async with self.house.store.view() as ledger:
            found: Delivery = await ledger.first(select(Delivery))
            return found

    async def address(self) -> str:
        token = self.house.links.mail_token((await self.delivery()).id)
        local, _, domain = self.house.settings.mail_from.partition("@")
        return f"{local}+{token}@{domain}"

    async def rows(self) -> list[Incoming]:
        async with self.house.store.view() as ledger:
            return await ledger.all(select(Incoming).order_by(Incoming.uidvalidity, Incoming.uid))

    async def comes(self, raw: str) -> Incoming:
        """A mail comes in and is read; its row."""
        self.shelf.mails.append(raw.replace("\n", "\r\n").encode())
        await inbox.read(self.house, self.shelf)
        return (await self.rows())[-1]

    @property
    def message_id(self) -> str:
        return str(self.postbox.sent[-1][1]["Message-ID"])


@pytest.fixture
async def office(house: House, postbox: Postbox) -> Office:
    await outbox.dispatch(house, postbox, await fill(house, 1))
    assert len(postbox.taken) == 1
    return Office(house, postbox, Shelf())


def person(to: str, text: str = "Chúng tôi đã nhận và xác nhận thực hiện.", references: str = "") -> str:
    """A mail that somebody wrote."""
    thread = f"In-Reply-To: {references}\n" if references else ""
    return (
        f"From: Văn thư <vanthu@cty0.example>\nTo: {to}\nSubject: Re: công văn\n"
        f"Message-ID: <{crc32(text.encode())}@cty0.example>\n{thread}Content-Type: text/plain; charset=utf-8\n\n"
        f"{text}\n\nVào 08:00, Ban Quản lý đã viết:\n> Kính gửi\n> xác nhận\n"
    )


def report(
    to: str, original: str, action: str = "failed", status: str = "5.1.1", about: str = "vanthu@cty0.example"
) -> str:
    """What Postfix writes (RFC 3464)."""
    return (
        f"Return-Path: <>\nFrom: MAILER-DAEMON@mx.cty0.example (Mail Delivery System)\nTo: {to}\n"
        f"Subject: Mail Delivery Report\nMessage-ID: <{action}.{status}@mx.cty0.example>\n"
        "Auto-Submitted: auto-replied\nMIME-Version: 1.0\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="B"\n\n'
        "--B\nContent-Type: text/plain\n\nThis is the mail system.\n\n"
        "--B\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.cty0.example\n\n"
        f"Final-Recipient: rfc822; {about}\nAction: {action}\nStatus: {status}\n"
        "Diagnostic-Code: smtp; 550 5.1.1 User unknown\n\n"
        f"--B\nContent-Type: text/rfc822-headers\n\nMessage-ID: {original}\nSubject: x\n\n--B--\n"
    )


# ------------------------------------------------------------------------------------ people and machines


async def test_a_persons_answer_stands_beside_the_delivery_without_its_quotes_and_confirms_nothing(
    office: Office,
) -> None:
    row = await office.comes(person(await office.address()))
    delivery = await office.delivery()
    assert (row.kind, row.delivery_id, row.matched_by) == ("human", delivery.id, "token")
    assert row.text == "Chúng tôi đã nhận và xác nhận thực hiện."
    assert (delivery.state, delivery.confirmed_at) == ("SENT", None)


async def test_an_answer_that_lost_our_address_is_found_by_its_thread(office: Office) -> None:
    row = await office.comes(person("congvan@bql.example", references=office.message_id))
    assert (row.delivery_id, row.matched_by) == ((await office.delivery()).id, "message_id")


async def test_an_address_that_we_did_not_sign_leads_nowhere_whatever_it_quotes(office: Office) -> None:
    token = (await office.delivery()).id + ".000000000000"
    row = await office.comes(report(f"congvan+{token}@bql.example", office.message_id))
    assert (row.delivery_id, row.about) == (None, None)
    assert (await office.delivery()).state == "SENT"
    assert [one["id"] for one in await inbox.unplaced(office.house)] == [row.id]


async def test_an_absent_clerks_machine_changes_nothing(office: Office) -> None:
    before = await office.delivery()
    raw = person(await office.address(), "Tôi đang nghỉ phép.").replace("\nTo:", "\nAuto-Submitted: auto-replied\nTo:")
    row = await office.comes(raw)
    after = await office.delivery()
    assert (row.kind, row.delivery_id) == ("auto_reply", after.id)
    assert (after.state, after.event_seq) == (before.state, before.event_seq)


# ------------------------------------------------------------------------------------ reports


async def test_a_bounce_makes_the_delivery_undeliverable_and_somebody_is_told(office: Office) -> None:
    row = await office.comes(report(await office.address(), office.message_id))
    delivery = await office.delivery()
    assert (row.kind, row.status, delivery.state) == ("bounce_hard", "5.1.1", "UNDELIVERABLE")
    async with office.house.store.view() as ledger:
        case = await ledger.first(select(Case))
        assert (case.kind, case.delivery_id, case.closed_at) == ("undeliverable", delivery.id, None)


async def test_too_many_letters_that_come_back_hold_the_campaign_like_refusals(
    house: House, postbox: Postbox
) -> None:
    await outbox.dispatch(house, postbox, await fill(house, 20))
    office = Office(house, postbox, Shelf())
    async with house.store.view() as ledger:
        rows = await ledger.rows(select(Message.delivery_id, Message.message_id, Message.address).limit(6))
    for number, (key, message_id, address) in enumerate(rows, 1):
        back = report(f"congvan+{house.links.mail_token(key)}@bql.example", message_id, about=address)
        await office.comes(back.replace("failed.5.1.1@", f"{number}@"))
        async with house.store.view() as ledger:
            campaign = await ledger.first(select(Campaign))
        assert (campaign.held_by == "engine") == (number == 6), number


async def test_a_delay_is_written_down_and_nothing_else(office: Office) -> None:
    await office.comes(report(await office.address(), office.message_id, "delayed", "4.4.1"))
    assert (await office.delivery()).state == "SENT"
    events = (await history(office.house, (await office.delivery()).id))["events"]
    assert (events[-1]["kind"], events[-1]["channel"]) == ("delayed", "mail")


async def test_a_receipt_says_that_it_has_arrived(office: Office) -> None:
    await office.comes(report(await office.address(), office.message_id, "delivered", "2.1.5"))
    delivery = await office.delivery()
    assert delivery.state == "DELIVERED"
    assert delivery.arrived_at == await office.house.clock.now()


async def test_a_bounce_of_the_letter_before_a_readdressing_says_nothing_of_the_new_one(office: Office) -> None:
    old = office.message_id
    delivery = await office.delivery()
    await deliveries.resend(office.house, delivery.id, "Lan", address="moi@cty0.example")
    await outbox.dispatch(office.house, office.postbox, delivery.hop_id)
    assert office.message_id != old
    await office.comes(report(await office.address(), old))
    assert (await office.delivery()).state == "SENT"
    await office.comes(report(await office.address(), office.message_id).replace("failed.5.1.1@", "second@"))
    assert (await office.delivery()).state == "UNDELIVERABLE"


async def test_a_report_about_a_mailbox_elsewhere_is_written_down_and_moves_nothing(office: Office) -> None:
    elsewhere = report(await office.address(), office.message_id, about="lan@other.example")
    assert (await office.comes(elsewhere)).delivery_id is not None
    events = (await history(office.house, (await office.delivery()).id))["events"]
    assert ((await office.delivery()).state, events[-1]["kind"]) == ("SENT", "noted")
    forwarded = elsewhere.replace("Final-R", "Original-Recipient: rfc822;vanthu@CTY0.example\nFinal-R")
    await office.comes(forwarded.replace("failed.5.1.1@", "second@"))
    assert (await office.delivery()).state == "UNDELIVERABLE"


async def test_a_report_that_knows_our_message_id_alone_has_to_come_from_a_mail_system(office: Office) -> None:
    forged = report("congvan@bql.example", office.message_id)
    forged = forged.replace("Return-Path: <>", "Return-Path: <lan@cty0.example>")
    forged = forged.replace("MAILER-DAEMON@mx", "lan@mx")
    row = await office.comes(forged)
    assert (row.kind, row.matched_by, (await office.delivery()).state) == ("bounce_hard", "message_id", "SENT")
    await office.comes(report("congvan@bql.example", office.message_id).replace("failed.5.1.1@", "second@"))
    assert (await office.delivery()).state == "UNDELIVERABLE"


async def test_a_bounce_without_our_headers_counts_in_a_later_round_where_it_names_the_mailbox(office: Office) -> None:
    delivery = await office.delivery()
    await deliveries.resend(office.house, delivery.id, "Lan", address="moi@cty0.example")
    await outbox.dispatch(office.house, office.postbox, delivery.hop_id)
    await office.comes(report(await office.address(), "<somebody.elses@id.example>"))
    assert (await office.delivery()).state == "SENT"
    bare = report(await office.address(), "<somebody.elses@id.example>", about="Moi@cty0.example")
    await office.comes(bare.replace("failed.5.1.1@", "second@"))
    assert (await office.delivery()).state == "UNDELIVERABLE"


# ------------------------------------------------------------------------------------ once, and whatever comes


async def test_one_mail_to_two_of_our_addresses_stands_beside_both_deliveries(
    house: House, postbox: Postbox
) -> None:
    await outbox.dispatch(house, postbox, await fill(house, 2))
    office = Office(house, postbox, Shelf())
    async with house.store.view() as ledger:
        keys = sorted(await ledger.all(select(Delivery.id)))
    for key in keys:
        await office.comes(person(f"congvan+{house.links.mail_token(key)}@bql.example", "Cả hai đã nhận."))
    assert sorted(str(row.delivery_id) for row in await office.rows()) == keys
    office.shelf.uidvalidity = 8
    assert await inbox.read(house, office.shelf) == {"again": 2}


async def test_a_folder_that_was_numbered_anew_is_read_through_once(office: Office) -> None:
    await office.comes(person(await office.address()))
    office.shelf.uidvalidity = 8
    assert await inbox.read(office.house, office.shelf) == {"again": 1}
    assert await inbox.read(office.house, office.shelf) == {}


async def test_of_a_thread_of_thousands_one_statement_finds_our_letter(office: Office) -> None:
    strangers = " ".join(f"<{number}@cty0.example>" for number in range(900))
    statements: list[str] = []

    def count(*arguments: object) -> None:
        statements.append(str(arguments[2]))

    raw = person("congvan@bql.example", references=f"<x@cty0.example>\nReferences: {office.message_id} {strangers}")
    event.listen(Engine, "before_cursor_execute", count)
    try:
        row = await office.comes(raw)
    finally:
        event.remove(Engine, "before_cursor_execute", count)
    assert (row.delivery_id, row.matched_by) == ((await office.delivery()).id, "message_id")
    assert sum("FROM messages" in one for one in statements) == 1


async def test_what_was_taken_in_is_not_taken_in_again_even_where_the_folder_is_numbered_anew(office: Office) -> None:
    await office.comes(person(await office.address()))
    assert await inbox.read(office.house, office.shelf) == {}
    office.shelf.uidvalidity = 8
    assert await inbox.read(office.house, office.shelf) == {"again": 1}
    assert len(await office.rows()) == 1


async def test_a_mail_that_trips_us_is_kept_and_does_not_hold_up_the_next(
    office: Office, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    really = inbox._place

    async def trips(*arguments: object) -> object:
        if arguments[2].subject == "bay":  # type: ignore[attr-defined]
            raise ZeroDivisionError("vanthu@cty0.example")
        return await really(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(inbox, "_place", trips)
    caplog.set_level(logging.ERROR)
    address = await office.address()
    office.shelf.mails += [
        person(address, "một").replace("Re: công văn", "bay").encode(),
        person(address, "hai").encode(),
        b"\x00\xff",
    ]
    await inbox.read(office.house, office.shelf)
    rows = await office.rows()
    assert [(row.text, row.delivery_id is None) for row in rows[:2]] == [("một", True), ("hai", False)]
    assert len(rows) == 3
    assert "ZeroDivisionError" in caplog.text
    assert "cty0.example" not in caplog.text


@pytest.mark.parametrize("shape", ["text/plain; charset=utf-8", "multipart/mixed; boundary=x"])
@pytest.mark.parametrize("parameters", ["name*=utf-8''a; name*0=b", f"name*{'9' * 4400}=b"], ids=["twice", "long"])
async def test_parameters_that_the_library_cannot_put_together_do_not_hold_up_the_next(
    office: Office, shape: str, parameters: str
) -> None:
    hostile = f"From: ai@b.example\r\nSubject: x\r\nContent-Type: {shape}; {parameters}\r\n\r\n--x\r\n\r\nmột\r\n"
    office.shelf.mails.append(hostile.encode())
    await office.comes(report(await office.address(), office.message_id))
    rows = await office.rows()
    assert [(row.sender, row.subject) for row in rows[:-1]] == [("ai@b.example", "x")]
    assert (rows[-1].kind, (await office.delivery()).state) == ("bounce_hard", "UNDELIVERABLE")


async def test_a_mail_that_cannot_be_read_at_all_is_kept_as_unknown(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = inbox.bounces.classify

    def trips(raw: bytes, mailboxes: list[str]) -> inbox.bounces.Incoming:
        if b"bay" in raw:
            raise ZeroDivisionError
        return really(raw, mailboxes)

    monkeypatch.setattr(inbox.bounces, "classify", trips)
    office.shelf.mails.append(b"Subject: bay\r\n\r\n")
    await office.comes(report(await office.address(), office.message_id))
    assert [row.kind for row in await office.rows()] == ["unknown", "bounce_hard"]
    assert (await office.delivery()).state == "UNDELIVERABLE"


@pytest.mark.parametrize(
    ("fault", "again"),
    [
        (OperationalError("", {}, sqlite3.OperationalError("disk I/O error")), True),
        (ConnectionResetError(), True),
        (DataError("", {}, sqlite3.DataError("string or blob too big")), False),
        (IntegrityError("", {}, sqlite3.IntegrityError("constraint")), False),
    ],
    ids=["away", "lost", "data", "constraint"],
)
async def test_while_the_database_is_at_fault_a_bounce_waits_for_the_next_reading(
    office: Office, monkeypatch: pytest.MonkeyPatch, fault: Exception, again: bool
) -> None:
    async def trips(*_arguments: object) -> None:
        raise fault

    raw = report(await office.address(), office.message_id)
    with monkeypatch.context() as patch:
        patch.setattr(inbox, "_effect", trips)
        with pytest.raises(type(fault)) if again else nullcontext():
            await office.comes(raw)
    assert [row.delivery_id for row in await office.rows()] == ([] if again else [None])
    await inbox.read(office.house, office.shelf)
    assert (await office.delivery()).state == ("UNDELIVERABLE" if again else "SENT")


async def test_the_history_of_a_delivery_shows_attempts_answers_and_events(office: Office) -> None:
    await office.comes(person(await office.address()))
    told = await history(office.house, (await office.delivery()).id)
    (message,) = told["messages"]
    assert message["state"] == "SENT"
    attempts = [(one["ordinal"], one["outcome"], one["reply"]) for one in message["attempts"]]
    assert attempts == [(1, "accepted", "2.0.0 Ok")]
    assert [one["kind"] for one in told["incoming"]] == ["human"]
    assert [one["kind"] for one in told["events"]][-2:] == ["sent", "noted"]


# ------------------------------------------------------------------------------------ a real server


def box(port: int, password: str = PASSWORD) -> Mailbox:
    return Mailbox("127.0.0.1", port, "congvan@bql.example", password)


async def test_a_real_mailbox_is_read_to_its_end_and_left_as_it_was(office: Office, imap: int) -> None:
    address = await office.address()
    raws = [person(address, f"Trả lời {number}").replace("\n", "\r\n").encode() for number in range(45)]
    with MailBoxUnencrypted("127.0.0.1", imap).login("congvan@bql.example", PASSWORD) as client:
        for raw in raws:
            client.append(raw)
    assert await inbox.read(office.house, box(imap)) == {"human": 45}
    assert await inbox.read(office.house, box(imap)) == {}
    with MailBoxUnencrypted("127.0.0.1", imap).login("congvan@bql.example", PASSWORD) as client:
        client.append(report(address, office.message_id).replace("\n", "\r\n").encode())
    assert await inbox.read(office.house, box(imap)) == {"bounce_hard": 1}
    assert [row.text for row in await office.rows()][:2] == ["Trả lời 0", "Trả lời 1"]
    with MailBoxUnencrypted("127.0.0.1", imap).login("congvan@bql.example", PASSWORD) as client:
        assert [mail.flags for mail in client.fetch(mark_seen=False)] == [()] * 46


async def test_a_mailbox_that_cannot_be_read_says_so_without_its_password(office: Office, imap: int) -> None:
    for wrong in (box(imap, "wrong-one"), Mailbox("127.0.0.1", free_port(), "congvan@bql.example", PASSWORD)):
        with pytest.raises(MailboxUnreadable) as told:
            await inbox.read(office.house, wrong)
        assert PASSWORD not in str(told.value)
        assert "wrong-one" not in str(told.value)


class Box:
    """A server's folder that gives some mails and refuses others."""

    def __init__(self, mails: dict[int, bytes], answers: bytes, named: bool = True) -> None:
        self.mails, self.answers, self.named = mails, answers, named
        self.folder = self.client = self

    def set(self, folder: str, readonly: bool) -> None:
        assert readonly

    def response(self, name: str) -> tuple[str, list[bytes]]:
        return name, [b"7"]

    def uids(self, _wanted: str) -> list[str]:
        return [str(uid) for uid in self.mails]

    def uid(self, _command: str, listed: str, what: str) -> tuple[str, list[object]]:
        if what == "(UID)":
            return ("OK" if self.named else "NO"), []
        wanted = [int(one) for one in listed.split(",")]
        if not all(self.mails[one] for one in wanted):
            return "NO", [self.answers]
        return "OK", [(b"1 (UID %d BODY[]<0> {1}" % one, self.mails[one]) for one in wanted]

    def logout(self) -> None:
        return


@pytest.mark.parametrize(
    ("box", "given"),
    [
        (Box({1: b"a", 2: b"", 3: b"c"}, b"[SERVERBUG] Internal error"), [(1, b"a"), (2, b""), (3, b"c")]),
        (Box({4: b""}, b"cannot be read"), [(4, b"")]),
        (Box({5: b"", 6: b""}, b"cannot be read"), None),
        (Box({7: b"a", 8: b""}, b"cannot be read", named=False), None),
        (Box({9: b"a", 10: b""}, b"[UNAVAILABLE] later"), None),
    ],
    ids=["one of three", "the only one", "all", "not even named", "later"],
)
async def test_a_mail_that_the_server_cannot_give_keeps_no_other_back(
    monkeypatch: pytest.MonkeyPatch, box: Box, given: list[tuple[int, bytes]] | None
) -> None:
    monkeypatch.setattr(Mailbox, "_open", lambda _self: box)
    source = Mailbox.parse("imap://a:b@localhost")
    with nullcontext() if given is not None else pytest.raises(MailboxUnreadable):
        assert [(one.uid, one.raw) async for one in source.newer(0, 0)] == given


#: Of these the server says what it says to one who asks for them: BAD, no text, a text in quotes, a text.
ODD = {
    1: b"* 1 FETCH (UID 1 BODY[]<0> {3}\r\nmot)\r\n",
    2: b"BAD out of order",
    3: b"* 3 FETCH (UID 3 BODY[]<0> NIL)\r\n",
    4: b'* 4 FETCH (UID 4 BODY[]<0> "bon")\r\n',
    5: b"* 5 FETCH (BODY[]<0> {3}\r\nnam UID 5)\r\n",
    6: b"* 6 FETCH (UID 6 FLAGS (\\Seen))\r\n",
}


async def _odd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An IMAP server in its few words."""
    writer.write(b"* OK [CAPABILITY IMAP4rev1] ready\r\n")
    while line := await reader.readline():
        tag, command, *rest = line.split()
        last = b"OK done"
        if command == b"CAPABILITY":
            writer.write(b"* CAPABILITY IMAP4rev1\r\n")
        elif command == b"EXAMINE":
            writer.write(b"* 6 EXISTS\r\n* OK [UIDVALIDITY 7] numbered\r\n")
        elif rest and rest[0] == b"SEARCH":
            writer.write(b"* SEARCH 1 2 3 4 5 6\r\n")
        elif rest and rest[0] == b"FETCH" and rest[2] != b"(UID)":
            for uid in map(int, rest[1].split(b",")):
                if ODD[uid].startswith(b"BAD"):
                    last = ODD[uid]
                    break
                writer.write(ODD[uid])
        writer.write(tag + b" " + last + b"\r\n")
    writer.close()


async def test_whatever_the_server_says_of_a_mail_those_behind_it_are_read_and_none_is_lost() -> None:
    async with await asyncio.start_server(_odd, "127.0.0.1", 0) as server:
        source = Mailbox("127.0.0.1", server.sockets[0].getsockname()[1], "congvan", PASSWORD)
        found = [(one.uid, one.raw) async for one in source.newer(0, 0)]
    assert found == [(1, b"mot"), (2, b""), (3, b""), (4, b""), (5, b"nam")]


async def test_a_mail_that_was_not_given_is_kept_as_unknown(office: Office) -> None:
    office.shelf.mails.append(b"")
    await office.comes(report(await office.address(), office.message_id))
    assert [row.kind for row in await office.rows()] == ["unknown", "bounce_hard"]


def test_the_way_to_the_mailbox_is_read_from_its_url() -> None:
    found = Mailbox.parse("imaps://congvan%40bql.example:m%E1%BA%ADt%2F1@mail.bql.example/Hop%20den?ca=/etc/ca.pem")
    assert (found.user, found.password, found.folder) == ("congvan@bql.example", "mật/1", "Hop den")
    assert (found.port, found.tls, found.ca_file) == (993, True, "/etc/ca.pem")
    assert "mật" not in repr(found)
    for wrong in ("http://a@b", "imap://b", "imap://"):
        with pytest.raises(ValueError):
            Mailbox.parse(wrong)


async def test_the_messages_that_were_sent_bear_an_envelope_that_leads_back(office: Office) -> None:
    async with office.house.store.view() as ledger:
        message = await ledger.first(select(Message))
    assert str(office.postbox.sent[0][1]["Reply-To"]) == await office.address()
    raw = report(await office.address(), "<somebody.elses@id.example>")
    raw = raw.replace("Reporting-MTA", f"Original-Envelope-Id: {message.id}\nReporting-MTA")
    assert (await office.comes(raw)).about == message.id
