"""`congvan mail`, `history`: what an operator sees of letters that left and of mail that came back."""

from __future__ import annotations

from typing import get_args

import pytest
from imap_tools import MailBoxUnencrypted
from sqlalchemy import select

from congvan.house import House
from congvan.mail.reports import Kind
from congvan.rules.labels import INCOMING
from congvan.store.tables import Message
from tests.contract.conftest import PASSWORD, Desk


def answer(to: str, text: str) -> bytes:
    """A mail that somebody wrote."""
    return (
        f"From: Văn thư <vanthu@cty.example>\r\nTo: {to}\r\nSubject: Trả lời\r\n"
        f"Message-ID: <{len(text)}@cty.example>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
    ).encode()


def test_mail_that_came_back_stands_in_the_history_or_in_the_list_of_what_nobody_could_place(
    desk: Desk, imap: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = desk.sent()[0]

    async def reply_to(house: House) -> str:
        local, _, domain = house.settings.mail_from.partition("@")
        return f"{local}+{house.links.mail_token(first['id'])}@{domain}"

    address = desk.within(reply_to)
    with MailBoxUnencrypted("127.0.0.1", imap).login("congvan@bql.example", PASSWORD) as client:
        client.append(answer(address, "Chúng tôi đã triển khai."))
        client.append(answer("congvan@bql.example", "Xin hỏi về một việc khác."))
    assert "Chưa đặt CONGVAN_IMAP_URL" in desk.must("mail", "inbox").out
    monkeypatch.setenv("CONGVAN_IMAP_URL", f"imap://congvan%40bql.example:{PASSWORD}@127.0.0.1:{imap}")
    read = desk.must("mail", "inbox", "--json").json
    assert read["read"] == {"human": 2}
    assert [one["text"] for one in read["unplaced"]] == ["Xin hỏi về một việc khác."]
    told = desk.must("history", first["code"], "--json").json
    assert [one["text"] for one in told["incoming"]] == ["Chúng tôi đã triển khai."]
    assert told["messages"][0]["attempts"][0]["reply"] == "2.0.0 Ok"
    assert told["delivery"]["state"] == "SENT", "an answer by mail confirms nothing"
    shown = desk.must("history", first["code"]).out
    assert "Chúng tôi đã triển khai." in shown
    assert "máy chủ nhận" in shown


def test_every_kind_of_mail_that_comes_in_has_a_word_for_clerks() -> None:
    assert set(INCOMING) == set(get_args(Kind))


def test_a_letter_of_which_nobody_knows_whether_it_was_taken_is_listed(desk: Desk) -> None:
    desk.sent()
    assert desk.must("mail", "unknown", "--json").lines == []

    async def doubt(house: House) -> str:
        async with house.store.act() as ledger:
            key = str(await ledger.first(select(Message.message_id)))
            await ledger.change(Message, Message.message_id == key, state="UNKNOWN", unknown=1)
            return key

    key = desk.within(doubt)
    assert [one["message_id"] for one in desk.must("mail", "unknown", "--json").lines] == [key]
    assert key.strip("<>")[:12] in desk.must("mail", "unknown").out
