"""What is done for many and for a whole campaign: looked at first, done under a name, and only by those who may."""

from __future__ import annotations

import re
from types import ModuleType

import pytest
from sqlalchemy import select

from congvan.acts import amending, bulk, campaigns, deliveries, escalations, pausing, roll, steering
from congvan.acts.bulk import Order, What
from congvan.acts.frozen import plan_of
from congvan.acts.roll import Mark, Wanted
from congvan.errors import StaleDelivery
from congvan.house import House
from congvan.store.tables import Campaign, Delivery, EventRow, Hop, Letter, Message
from tests.portal.grown import grow
from tests.portal.office_world import Clerk, sign_in, token_of
from tests.portal.world import Desk, turn_all

C = "/office/c/8184"
EXTEND = {"what": "extend", "day": "20/12/2023", "hour": "17:00", "why": "bão số 5"}


async def campaign_of(house: House) -> Campaign:
    return await roll.campaign_of(house, "8184")


def mark_of(text: str) -> str:
    found = re.search(r'name="mark" value="([0-9a-f]+)"', text)
    assert found, "there is something to confirm"
    return found[1]


async def open_case(desk: Desk, code: str) -> None:
    now = await desk.house.clock.now()
    async with desk.house.store.act() as ledger:
        row = await ledger.take(Delivery, (await desk.delivery(code)).id)
        await escalations.open_case(desk.house, ledger, row, "silent", now)


async def due(house: House, *where: object) -> set[str]:
    async with house.store.view() as ledger:
        rows = await ledger.all(select(Delivery).where(*where))  # type: ignore[arg-type]
    return {row.due_at.isoformat() if row.due_at else "" for row in rows}


# ------------------------------------------------------------------------------------ for many


async def test_what_would_happen_is_shown_and_nothing_has_happened(clerk: Clerk, desk: Desk) -> None:
    before = await desk.trace()
    page = await clerk.do(f"{C}/bulk/look?level=investor", 200, **EXTEND)
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page.text))
    assert "Thực hiện với 2 nơi nhận, thời hạn mới 17 giờ 00 ngày 20/12/2023" in text
    assert "CDT-VSIP Công ty TNHH VSIP" in text
    assert await desk.trace() == before


async def test_whoever_is_left_out_is_counted_with_the_reason(clerk: Clerk, desk: Desk) -> None:
    page = await clerk.do(f"{C}/bulk/look", 200, **EXTEND)
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page.text))
    assert re.search(r"Bỏ qua \d+: chặng chưa mở \(", text)
    assert re.search(r"Bỏ qua \d+: đã xong \(BQL", text)


async def test_one_confirmation_extends_everybody_who_was_shown(clerk: Clerk, desk: Desk) -> None:
    page = await clerk.do(f"{C}/bulk/look?level=investor", 200, **EXTEND)
    done = await clerk.do(f"{C}/bulk/do?level=investor", 200, mark=mark_of(page.text), **EXTEND)
    assert "đã thực hiện với <b>2</b>" in done.text
    assert await due(desk.house, Delivery.level == "investor") == {"2023-12-20T10:00:00+00:00"}
    assert "2023-12-20T10:00:00+00:00" not in await due(desk.house, Delivery.level != "investor")
    async with desk.house.store.view() as ledger:
        actors = await ledger.all(select(EventRow.actor).where(EventRow.kind == "extended"))
    assert actors == ["hoa", "hoa"]


async def test_a_selection_that_has_changed_is_shown_again_and_not_carried_out(clerk: Clerk, desk: Desk) -> None:
    page = await clerk.do(f"{C}/bulk/look?level=investor", 200, **EXTEND)
    await clerk.do(f"{C}/d/{(await desk.delivery('CDT-VSIP')).id}/exempt", why="thôi")
    before = await desk.trace()
    again = await clerk.do(f"{C}/bulk/do?level=investor", 409, mark=mark_of(page.text), **EXTEND)
    assert "Danh sách vừa thay đổi" in again.text
    assert await desk.trace() == before
    assert mark_of(again.text) != mark_of(page.text)


async def test_without_having_looked_nothing_is_done(clerk: Clerk, desk: Desk) -> None:
    before = await desk.trace()
    for mark in ("", "x", "0" * 32):
        await clerk.do(f"{C}/bulk/do", 409, mark=mark, **EXTEND)
    await clerk.do(f"{C}/bulk/do", 422, mark="x", what="extend", day="32/1/2023", why="x")
    await clerk.do(f"{C}/bulk/look", 422, what="extend", day="20/12/2023", why="")
    assert await desk.trace() == before


async def test_an_act_that_nobody_named_is_none(clerk: Clerk, desk: Desk) -> None:
    await open_case(desk, "CDT-VSIP")
    before = await desk.trace()
    for what in ("", "khac", "CLAIM"):
        page = await clerk.do(f"{C}/bulk/look", 422, what=what, why="x")
        assert "Chưa chọn việc" in page.text
    await clerk.do(f"{C}/bulk/look", 422, why="x")
    assert await desk.trace() == before


async def test_many_are_exempted_by_a_leader_only(clerk: Clerk, leader: Clerk, desk: Desk) -> None:
    before = await desk.trace()
    order = {"what": "exempt", "why": "không thuộc phạm vi"}
    await clerk.do(f"{C}/bulk/look?level=unit", 422, **order)
    await clerk.do(f"{C}/bulk/do?level=unit", 422, mark="x", **order)
    assert 'value="exempt"' not in await clerk.see(f"{C}/bulk")
    assert await desk.trace() == before
    page = await leader.do(f"{C}/bulk/look?level=unit", 200, **order)
    await leader.do(f"{C}/bulk/do?level=unit", 200, mark=mark_of(page.text), **order)
    async with desk.house.store.view() as ledger:
        assert set(await ledger.all(select(Delivery.state).where(Delivery.level == "unit"))) == {"EXEMPT"}


async def test_letters_are_sent_again_to_many_but_not_to_those_without_a_mailbox(clerk: Clerk, desk: Desk) -> None:
    async with desk.house.store.act() as ledger:
        await ledger.change(Delivery, Delivery.recipient == "CDT-VSIP", address=None)
    page = await clerk.do(f"{C}/bulk/look?level=investor", 200, what="resend")
    assert "chưa có hộp thư" in page.text
    await clerk.do(f"{C}/bulk/do?level=investor", 200, mark=mark_of(page.text), what="resend")
    assert (await desk.delivery("CDT-NAMDINHVU")).round == 2
    assert (await desk.delivery("CDT-VSIP")).round == 1


@pytest.mark.parametrize("what", ["resend", "claim"])
async def test_a_confirmation_that_is_sent_twice_acts_once(clerk: Clerk, desk: Desk, what: str) -> None:
    await open_case(desk, "CDT-VSIP")
    page = await clerk.do(f"{C}/bulk/look?level=investor", 200, what=what, why="gọi rồi")
    form = {"mark": mark_of(page.text), "what": what, "why": "gọi rồi"}
    await clerk.do(f"{C}/bulk/do?level=investor", 200, **form)
    before = await desk.trace()
    again = await clerk.do(f"{C}/bulk/do?level=investor", 409, **form)
    assert "Danh sách vừa thay đổi" in again.text
    assert await desk.trace() == before


async def test_who_was_written_to_since_the_look_is_passed_over(clerk: Clerk, desk: Desk) -> None:
    campaign = await campaign_of(desk.house)
    order = Order(What.RESEND)
    outlook = await bulk.look(desk.house, campaign.id, Wanted(level="investor"), order)
    await deliveries.resend(desk.house, (await desk.delivery("CDT-VSIP")).id, "dung")
    assert await bulk.carry_out(desk.house, outlook.chosen, order, "hoa") == (1, 1)
    assert (await desk.delivery("CDT-VSIP")).round == 2


async def test_cases_are_claimed_for_many_with_one_note(clerk: Clerk, desk: Desk) -> None:
    for code in ("CDT-VSIP", "CDT-NAMDINHVU"):
        await open_case(desk, code)
    page = await clerk.do(f"{C}/bulk/look", 200, what="claim", why="gọi trong ngày")
    await clerk.do(f"{C}/bulk/do", 200, mark=mark_of(page.text), what="claim", why="gọi trong ngày")
    campaign = await campaign_of(desk.house)
    assert await roll.count(desk.house, campaign.id, Wanted(mark=Mark.MINE, mine="hoa")) == 2


async def test_no_more_than_a_thousand_are_touched_at_once(house: House) -> None:
    await grow(house, 3_500)
    campaign = await campaign_of(house)
    outlook = await bulk.look(house, campaign.id, Wanted(), Order(What.EXEMPT, "x"))
    assert len(outlook.chosen) == bulk.MOST
    assert outlook.more > 0
    skipped = sum(len(codes) for codes in outlook.skipped.values())
    assert len(outlook.chosen) + outlook.more + skipped == 3_500


# ------------------------------------------------------------------------------------ the whole campaign


async def test_a_campaign_is_held_and_goes_on_by_a_named_persons_decision(clerk: Clerk, desk: Desk) -> None:
    await clerk.do(f"{C}/hold", 422, why=" ")
    await clerk.do(f"{C}/hold", why="chờ ý kiến")
    row = await campaign_of(desk.house)
    assert row.held_by == "hoa"
    page = await clerk.see(C)
    assert "Đợt này đang giữ thư lại, thời hạn vẫn tính" in page
    assert "Nguyễn Thị Hoa" in page
    assert "Giữ thư lại, thời hạn vẫn tính; chờ quyết định" in await clerk.see("/office")
    await clerk.do(f"{C}/resume")
    assert (await campaign_of(desk.house)).held_at is None


async def test_a_run_cancelled_in_prefect_waits_for_resume_or_withdraw_on_this_page(
    clerk: Clerk, leader: Clerk, desk: Desk
) -> None:
    row = await campaign_of(desk.house)
    await campaigns.hold_once(desk.house, row.id, "state-1", "cancelled in Prefect")
    page = await clerk.see(C)
    assert "dừng trong Prefect" in page
    assert f"{C}/decide" in page
    await clerk.do(f"{C}/withdraw", 403, why="x")
    await leader.do(f"{C}/withdraw", 422, why="")
    await leader.do(f"{C}/withdraw", why="chỉ đạo mới")
    async with desk.house.store.view() as ledger:
        states = set(await ledger.all(select(Delivery.state)))
        actors = set(await ledger.all(select(EventRow.actor).where(EventRow.kind == "withdrawn")))
    assert states <= {"WITHDRAWN", "EXEMPT", "FORWARDED", "ACKNOWLEDGED", "COMPLETED"}
    assert actors == {"dung"}
    assert (await campaign_of(desk.house)).held_at is None, "the notices leave and it can be closed"


async def test_taking_back_from_many_goes_on_where_it_stopped(
    leader: Clerk, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steering, "MOST", 5)
    row = await campaign_of(house)
    before = await steering.open_ones(house, row.id)
    assert before > 10
    page = await leader.do(f"{C}/withdraw", 200, why="chỉ đạo mới")
    assert await steering.open_ones(house, row.id) == before - 5
    assert f"còn {before - 5}" in page.text
    while await steering.open_ones(house, row.id):
        await steering.withdraw_all(house, "8184", "dung", "chỉ đạo mới")


async def test_a_campaign_is_paused_by_a_leader_and_its_deadlines_move(clerk: Clerk, leader: Clerk, desk: Desk) -> None:
    await clerk.do(f"{C}/pause", 403, why="bão")
    await leader.do(f"{C}/pause", why="bão")
    assert (await campaign_of(desk.house)).paused_at is not None
    assert "Đợt này đang tạm dừng, thời hạn ngừng tính" in await clerk.see(C)
    before = (await desk.delivery("CDT-VSIP")).due_at
    desk.clock.forward(days=4)
    await sign_in(clerk.web)
    await clerk.do(f"{C}/resume")
    after = (await desk.delivery("CDT-VSIP")).due_at
    assert before is not None
    assert after is not None
    assert after > before


async def test_a_campaign_with_somebody_open_is_closed_only_by_who_has_seen_it(
    clerk: Clerk, leader: Clerk, desk: Desk
) -> None:
    await clerk.do(f"{C}/close", 403, seen="yes")
    page = await leader.do(f"{C}/close", 422)
    assert "Còn nơi nhận chưa xong" in page.text
    await leader.do(f"{C}/close", seen="yes")
    row = await campaign_of(desk.house)
    assert (row.state, row.closed_by) == ("CLOSED", "dung")
    assert "Đã kết thúc" in await clerk.see(C)
    assert "Báo cáo" in await clerk.see("/office/letters") or row.report_letter_id


async def test_a_replacement_that_waits_is_named_before_it_is_dropped_with_the_closing(
    leader: Clerk, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nobody(*_: object) -> None:
        return None

    monkeypatch.setattr(amending, "play_issue", nobody)
    async with desk.house.store.view() as ledger:
        old = await ledger.first(select(Letter).where(Letter.state == "ISSUED", Letter.issuer == "BQL"))
    words = plan_of(await campaign_of(desk.house)).letter.model_copy(update={"subject": "nội dung khác"})
    new = await amending.replace(desk.house, old.id, words, "dung", "sai ngày")
    assert "Văn bản thay thế chờ ban hành, sẽ bị hủy: 1" in await leader.see(f"{C}/decide")
    await leader.do(f"{C}/close", seen="yes")
    async with desk.house.store.view() as ledger:
        assert (await ledger.get(Letter, new)).state == "CANCELLED"
        closed = await ledger.first(select(EventRow).where(EventRow.kind == "closed"))
    assert closed.data["dropped"] == [new]


async def test_a_hop_is_opened_past_its_issuer_by_a_leader_and_those_below_are_reached(
    clerk: Clerk, leader: Clerk, desk: Desk
) -> None:
    at = f"{C}/hop/CDT-VSIP"
    await clerk.see(at, 403)
    await clerk.do(f"{at}/release", 403, why="im lặng")
    assert "gửi vượt cấp" in await leader.see(at)
    await leader.do(f"{at}/release", 422, why="")
    await leader.do(f"{at}/release", why="im lặng, văn bản khẩn")
    await turn_all(desk.house)
    async with desk.house.store.view() as ledger:
        hop = await ledger.first(select(Hop).where(Hop.issuer == "CDT-VSIP"))
        below = await ledger.all(select(Delivery.state).where(Delivery.hop_id == hop.id))
        mails = await ledger.all(select(Message.kind).where(Message.hop_id == hop.id))
        own = await ledger.first(select(Letter.state).where(Letter.issuer == "CDT-VSIP"))
    assert hop.opened_at is not None
    assert set(below) == {"SENT"}
    assert set(mails) == {"bypass"}
    assert own != "ISSUED", "nothing leaves in the company's name"
    assert (await desk.delivery("CDT-VSIP")).state == "SENT", "its own obligation stays"
    again = await leader.do(f"{at}/release", 422, why="lần nữa")
    assert "đã mở" in again.text


@pytest.mark.parametrize(
    ("act", "module", "name"),
    [("hold", campaigns, "hold"), ("pause", pausing, "pause"), ("withdraw", steering, "withdraw_all")],
)  # fmt: skip
async def test_a_reason_that_was_typed_is_not_lost_with_a_decision_that_failed(
    leader: Clerk, monkeypatch: pytest.MonkeyPatch, act: str, module: ModuleType, name: str
) -> None:
    async def somebody_was_first(*_: object) -> None:
        raise StaleDelivery

    monkeypatch.setattr(module, name, somebody_was_first)
    page = (await leader.do(f"{C}/{act}", 422, why="chờ ý kiến")).text
    (open_one,) = re.findall(r'<details class="action" open id="do-(\w+)">', page)
    assert open_one == act
    assert page.count("chờ ý kiến</textarea>") == 1


async def test_a_hop_that_is_not_there_is_not_found(leader: Clerk) -> None:
    await leader.see(f"{C}/hop/NOPE", 404)
    await leader.do(f"{C}/hop/NOPE/release", 404, why="x")


async def test_whoever_may_only_look_decides_nothing(viewer: Clerk, desk: Desk) -> None:
    before = await desk.trace()
    await viewer.see(f"{C}/decide", 403)
    await viewer.see(f"{C}/bulk", 403)
    for act in ("hold", "resume", "pause", "withdraw", "close", "bulk/look", "bulk/do", "hop/CDT-VSIP/release"):
        await viewer.do(f"{C}/{act}", 403, why="x", seen="yes")
    assert await desk.trace() == before


async def test_nothing_is_decided_without_the_forms_token(leader: Clerk, desk: Desk) -> None:
    before = await desk.trace()
    token_of(await leader.see("/office"))
    for act in ("hold", "resume", "pause", "withdraw", "close", "bulk/look", "bulk/do", "hop/CDT-VSIP/release"):
        assert (await leader.web.post(f"{C}/{act}", data={"why": "x", "seen": "yes"})).status_code == 403
        assert (await leader.web.get(f"{C}/{act}")).status_code == 405
    assert await desk.trace() == before
