""""Gửi thử": what a recipient would get, in the operator's own mailbox, before anything is launched."""

from __future__ import annotations

import io
from collections.abc import Iterable
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pypdf
import pytest
from sqlalchemy import select

from congvan.acts import registry, trial
from congvan.acts.launches import Launch
from congvan.errors import BadInput, NotFound
from congvan.mail.outgoing import Outcome
from congvan.store.tables import Table
from tests.conftest import ROOT, Postbox
from tests.protocol.world import CASCADE, PLAN, Town, register

ME = "phu.trach@bql.example"


def order(**changes: Any) -> Launch:
    return Launch(PLAN.model_copy(update=changes), CASCADE, "live", "Lan", ROOT / "config" / "campaigns")


async def tried(town: Town, recipient: str, **changes: Any) -> EmailMessage:
    await registry.take_over(town.house, register())
    outcome = await trial.send(town.house, town.postbox, order(**changes), recipient, ME)
    assert outcome.verdict == "accepted"
    ((to, message),) = town.postbox.sent
    assert to == ME
    return message


def bodies(message: EmailMessage) -> Iterable[str]:
    for kind in ("plain", "html"):
        part = message.get_body((kind,))
        assert part is not None
        yield str(part.get_content())


def files(message: EmailMessage) -> dict[str, bytes]:
    return {str(part.get_filename()): part.get_payload(decode=True) for part in message.iter_attachments()}  # type: ignore[misc]


def page(data: bytes) -> str:
    return "\n".join(one.extract_text() for one in pypdf.PdfReader(io.BytesIO(data)).pages)


@pytest.mark.parametrize(
    ("recipient", "says"),
    [
        ("INV-A", "chuyển tiếp"),
        ("T-OUT", "xác nhận đã tiếp nhận"),
        ("T1", "thay mặt"),
        ("BQL", "vào sổ"),
    ],
)
async def test_the_operator_gets_a_recipients_whole_mail_marked_and_without_a_live_link(
    town: Town, recipient: str, says: str
) -> None:
    message = await tried(town, recipient)
    assert str(message["Subject"]).startswith("[GỬI THỬ] ")
    assert str(message["To"]) == ME
    for body in bodies(message):
        assert "[GỬI THỬ]" in body
        assert says in body
        assert f"Tổ chức {recipient}" in body
        assert "/v/" not in body, "a link that opens somebody's obligation"
        assert "?gui-thu" in body


async def test_its_letters_bear_no_number_and_no_date_and_say_that_they_are_an_illustration(town: Town) -> None:
    enclosed = files(await tried(town, "T1"))
    letters = {name: page(data) for name, data in enclosed.items() if name.startswith(("board", "investor"))}
    assert {name.split("-")[0] for name in letters} == {"board", "investor"}
    for text in letters.values():
        assert "BẢN MINH HỌA" in text
    board = next(text for name, text in letters.items() if name.startswith("board"))
    assert " ".join(board.split("Số:")[1].split())[:9] == "/BQL-QHXD"
    assert "ngày tháng năm" in " ".join(board.split())
    company = " ".join(next(text for name, text in letters.items() if name.startswith("investor")).split())
    assert "Công văn số …/BQL-QHXD ngày …/…/…" in company
    assert len(enclosed) == 3, "the document from above comes along"


async def test_a_trial_leaves_the_database_as_it_was(town: Town) -> None:
    await registry.take_over(town.house, register())

    async def rows() -> dict[str, int]:
        async with town.house.store.view() as ledger:
            return {table.name: await ledger.count(select(table)) for table in Table.metadata.sorted_tables}

    before = await rows()
    await trial.send(town.house, town.postbox, order(), "INV-A", ME)
    assert await rows() == before


async def test_whom_the_plan_does_not_reach_gets_no_trial(town: Town) -> None:
    with pytest.raises(NotFound, match="không gửi đến"):
        await tried(town, "UBND-HP")
    assert town.postbox.sent == []


async def test_a_plan_that_cannot_be_launched_cannot_be_tried(town: Town, tmp_path: Path) -> None:
    wrong = PLAN.directives[0].model_copy(update={"subject": "TỐI MẬT"})
    with pytest.raises(BadInput, match="văn bản mật"):
        await tried(town, "INV-A", directives=(wrong,))
    assert town.postbox.sent == []


async def test_what_the_mail_server_says_is_told(town: Town, postbox: Postbox) -> None:
    await registry.take_over(town.house, register())
    postbox.says = lambda item: Outcome(item.key, "refused", 550, "no such mailbox")
    outcome = await trial.send(town.house, postbox, order(), "INV-A", ME)
    assert (outcome.verdict, outcome.reply) == ("refused", "no such mailbox")
