"""What tells the mails of one office apart fits its column on both databases, whatever the codes; and a journal that
cannot be settled keeps no other mail back."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from bench.outbox_world import fill
from congvan.acts import amending, mails, outbox, recalls, recovering, registry
from congvan.clock import HandClock
from congvan.errors import NotFound
from congvan.house import House
from congvan.mail.journal import Journal
from congvan.mail.message import message_id
from congvan.mail.outgoing import Outcome
from congvan.rules.records import Contact, CopyTo, Organisation, Register
from congvan.store.office import BookChange
from congvan.store.tables import Campaign, Message, Number
from tests.conftest import Postbox
from tests.protocol.test_issue import go_live
from tests.protocol.test_stories_mailboxes import refuses
from tests.protocol.world import PARKS, Town, organisation, register, to

#: Codes as long as they may be, with all that may stand in them; the last three are one where a character is lost.
CODES = (
    "CTY-CO-PHAN-DAU-TU-KCN-NAM-DINH-VU-HP-01",
    "CTY-CO-PHAN-DAU-TU-KCN-NAM-DINH-VU-HP-02",
    "D" + "." * 39,
    "D" + "_" * 39,
    "SO.XD",
    "SO_XD",
    "SO-XD",
)  # fmt: skip


def _mailboxes(number: int, *names: str) -> tuple[Contact, ...]:
    return tuple(Contact(email=f"{name}{number}@xa.example", order=order) for order, name in enumerate(names, 1))


async def test_a_reminder_to_issue_that_one_mailbox_refuses_goes_to_the_next(placed: House, tmp_path: Path) -> None:
    boxes = (Contact(email="vp@vp.example"), Contact(email="hai@vp.example", order=2))
    town = Town(placed, refuses("vp@vp.example"))
    letter = await go_live(town, tmp_path, people=register(VP={"contacts": boxes}))
    await town.until("2023-12-05", "09:00")
    wanted = await town.all(Message, Message.kind == "issue_wanted")
    assert {one.step: (one.address, one.state) for one in wanted} == {
        f"{letter.id}-1": ("vp@vp.example", "REFUSED"),
        f"{letter.id}-1_again1": ("hai@vp.example", "SENT"),
    }
    assert recovering.files(recovering.folder(placed)) == []


async def test_a_hop_opens_whatever_codes_its_recipients_have(placed: House) -> None:
    read = [organisation(code, "leader", contacts=_mailboxes(n, "sao", "hai")) for n, code in enumerate(CODES)]
    owing = [
        organisation(f"{code[:36]}.T{n}", "tenant", contacts=_mailboxes(n, "dn")) for n, code in enumerate(CODES)
    ]
    base = register()
    town = Town(placed, refuses("sao3@xa.example"))
    await town.launch(
        people=Register(organisations=(*base.organisations, *read, *owing), parks=PARKS),
        audience=to(*(one.code for one in owing)),
        copies=tuple(CopyTo(organisation=code) for code in CODES),
    )
    await town.work()
    await town.say("BQL")
    await town.work()
    letters = await town.all(Message, Message.kind == "letter", Message.recipient.in_([one.code for one in owing]))
    assert [one.state for one in letters] == ["SENT"] * len(owing)
    assert await _sent(town, "copy") == {code: f"sao{n}@xa.example" for n, code in enumerate(CODES)} | {
        CODES[3]: "hai3@xa.example"
    }
    letter = await town.letter("BQL")
    await amending.correct(placed, letter.id, [amending.Slip("ngày 29/11/2022", "ngày 29/11/2023")], "An")
    await town.work()
    assert set(await _sent(town, "correction")) == set(CODES)
    await recalls.recall(placed, letter.id, "An", "gửi nhầm")
    await town.work()
    assert set(await _sent(town, "recall")) == set(CODES)


async def _sent(town: Town, kind: str) -> dict[str, str]:
    """By recipient the mailbox that took it; each mail is a step of its own."""
    rows = await town.all(Message, Message.kind == kind, Message.delivery_id.is_(None))
    assert len({one.step for one in rows}) == len(rows)
    return {one.recipient: one.address for one in rows if one.state == "SENT"}


def test_two_codes_never_give_one_step_and_every_step_stands_in_a_message_id() -> None:
    codes = [*CODES, "A", "A_again1", "A_u", "A.u", "A_uu", "A_d", "A..", "A._", "A_.", "A__"]
    steps = [mails.of_code(code) for code in codes]
    assert len(set(steps)) == len(codes)
    domain = ".".join(["a" * 61] * 3 + ["b" * 58, "example"])
    for step in steps:
        assert "_again" not in step, "it would be taken for another mailbox of the code before it"
        made = f"{'h' * 32}-{step}_again99"
        assert len(made) <= Message.__table__.c.step.type.length
        said = message_id("d" * 32, "k" * 24, made, domain)
        assert len(said) <= Message.__table__.c.message_id.type.length
    assert mails.of_code("DN-0001") == "DN-0001"


async def _left_refused(house: House, recipient: str) -> Path:
    """The journal of a killed process: the only mail that it had in hand, to this office, was refused for good."""
    now = await house.clock.now()
    async with house.store.act() as ledger:
        campaign = await ledger.first(select(Campaign))
        mail = mails.Mail(
            kind=mails.NOTICE, step="1", recipient=recipient, address="rieng@tu.example", not_before=now,
            campaign_id=campaign.id, urgent=True,
        )  # fmt: skip
        await mails.queue(house, ledger, [mail], now)
    (work,) = await outbox.claim(house, None)
    # Numbered apart from those of this process's own dispatches.
    with Journal(recovering.folder(house), house.name, 10**6, [work.message.id], [work.ordinal]) as journal:
        journal.ended(Outcome(work.message.id, "refused", 550, "5.1.1 rieng@tu.example: no such user"))
    (path,) = recovering.files(recovering.folder(house))
    return path


async def _state_of(house: House, recipient: str) -> Any:
    async with house.store.view() as ledger:
        return await ledger.first(select(Message.state).where(Message.recipient == recipient))


async def test_a_journal_that_cannot_be_settled_keeps_no_other_mail_back_and_is_tried_again(
    placed: House, postbox: Postbox, caplog: pytest.LogCaptureFixture
) -> None:
    hop_id = await fill(placed, 2)
    path = await _left_refused(placed, "KHONG-CO")
    with caplog.at_level(logging.ERROR):
        assert await outbox.dispatch(placed, postbox, hop_id) == {"accepted": 2}
    assert path.exists()
    assert await _state_of(placed, "KHONG-CO") == "CLAIMED"
    (told,) = [one.getMessage() for one in caplog.records]
    assert "NotFound" in told
    assert path.name in told
    assert "tu.example" not in caplog.text, "nobody's address stands in the log of the program"
    async with placed.store.view() as ledger:
        known = await registry.read(ledger)
    late = Organisation(code="KHONG-CO", name="Đơn vị mới", level="board", contacts=_mailboxes(1, "moi"))
    await registry.take_over(placed, replace_in(known, late))
    assert await recovering.recover(placed) == {"refused": 1}
    assert not path.exists()
    assert await _state_of(placed, "KHONG-CO") == "REFUSED"


def replace_in(known: Register, one: Organisation) -> Register:
    return known.model_copy(update={"organisations": (*known.organisations, one)})


async def test_a_journal_that_was_not_settled_in_time_says_nothing_of_the_next_attempt(
    placed: House, clock: HandClock
) -> None:
    await fill(placed, 1)
    path = await _left_refused(placed, "KHONG-CO")
    assert await recovering.recover(placed) == {}
    assert path.exists()
    clock.forward(seconds=placed.settings.lease_s + 1)
    (work,) = await outbox.claim(placed, None)
    assert work.ordinal == 2
    assert await recovering.recover(placed) == {}
    assert not path.exists(), "nothing of it is left to settle"
    assert await _state_of(placed, "KHONG-CO") == "CLAIMED"


async def test_one_outcome_that_cannot_be_recorded_has_no_other_of_its_batch_sent_again(
    placed: House, postbox: Postbox, clock: HandClock
) -> None:
    hop_id = await fill(placed, 3)
    async with placed.store.act() as ledger:
        (one, *_) = await ledger.all(select(Message).where(Message.hop_id == hop_id).order_by(Message.id))
        nobodys = {"delivery_id": None, "recipient": "KHONG-CO", "kind": "copy"}
        await ledger.change(Message, Message.id == one.id, address="rieng@tu.example", **nobodys)
    postbox.says = refuses("rieng@tu.example").says
    with pytest.raises(NotFound):
        await outbox.dispatch(placed, postbox, hop_id)
    assert await outbox.dispatch(placed, postbox, hop_id) == {}
    async with placed.store.view() as ledger:
        states = await ledger.all(select(Message.state).where(Message.hop_id == hop_id).order_by(Message.id))
    assert states == ["CLAIMED", "SENT", "SENT"]
    clock.forward(seconds=placed.settings.lease_s + 1)
    with pytest.raises(NotFound):
        await outbox.dispatch(placed, postbox, hop_id)
    assert sorted(postbox.ids().values()) == [1, 1]


async def test_a_journal_that_nobody_can_read_keeps_no_mail_back(placed: House, postbox: Postbox) -> None:
    hop_id = await fill(placed, 2)
    path = recovering.folder(placed) / f"{'0' * 32}-1.wire"
    path.parent.mkdir()
    path.write_bytes(b"B \xff\xfe\nC \xff\n")
    assert await outbox.dispatch(placed, postbox, hop_id) == {"accepted": 2}
    assert path.exists()


async def test_a_name_is_as_long_as_somebody_has_made_it(placed: House) -> None:
    """Whoever acts in a terminal types his name, and an authority may have a long symbol."""
    name = "Nguyễn Thị Hoàng Ngọc Phương Anh, Phó Trưởng phòng Quy hoạch và Xây dựng " * 2
    now = await placed.clock.now()
    async with placed.store.act() as ledger:
        await ledger.add(Number, issuer="BQL", series=name, year=2023, number=1, taken_at=now)
        await ledger.add(BookChange, id="b" * 32, organisation="BQL", at=now, by=name, why="", after={})
    async with placed.store.view() as ledger:
        assert await ledger.all(select(BookChange.by)) == await ledger.all(select(Number.series)) == [name]
