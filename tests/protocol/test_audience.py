"""Who a plan reaches and why; who registers afterwards comes in by an act of a named person."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from congvan.acts import amending, audit, campaigns, joining, recalls, registry, steering
from congvan.errors import ActRefused, NotFound
from congvan.plan_check import check
from congvan.rules.audience import Look, preview
from congvan.rules.cascade import route
from congvan.rules.protocol import Event
from congvan.rules.records import Audience, CampaignPlan, Cascade, Contact, HopRule, Park, Register
from congvan.store.tables import Delivery, Letter, WayRow
from tests.conftest import at, text_of
from tests.protocol.world import CASCADE, PARKS, PLAN, Town, address, organisation, register, to

ZONED = Register(
    organisations=register().organisations,
    parks=(Park(code="P1", name="KCN Một", investor="INV-A", zone="KKT Một"), *register().parks[1:]),
)


def plan_for(audience: Audience) -> CampaignPlan:
    return PLAN.model_copy(update={"audience": audience})


def looks(audience: Audience, people: Register = ZONED) -> dict[str, Look]:
    return {look.organisation.code: look for look in preview(people, CASCADE, plan_for(audience))}


# ------------------------------------------------------------------------------------ the preview


def test_without_conditions_everyone_on_the_chain_is_reached_and_the_reason_says_so() -> None:
    found = looks(Audience())
    assert found["T1"].role == "recipient"
    assert found["T1"].why == "không đặt điều kiện: mọi tổ chức trên chuỗi"
    assert found["T1"].via == ("INV-A",)
    assert found["T-BOTH"].via == ("INV-A", "INV-B")
    assert found["T-OUT"].via == ("BQL",)
    assert (found["UBND-HP"].role, found["QHXD"].role) == ("root", "exempt")
    assert (found["TB"].role, found["TB"].why) == ("", "không có chặng nào trong chuỗi dẫn đến")


@pytest.mark.parametrize(
    ("audience", "code", "role", "why"),
    [
        (Audience(levels=("tenant",)), "T1", "recipient", "cấp tenant"),
        (Audience(levels=("tenant",)), "INV-A", "carrier", "đường chuyển đến 4 đơn vị"),
        (Audience(levels=("tenant",)), "VP", "", "cấp unit không được chọn"),
        (Audience(parks=("P2",)), "T3", "recipient", "khu P2"),
        (Audience(parks=("P2",)), "T1", "", "không ở khu công nghiệp, khu vực được chọn"),
        (Audience(zones=("KKT Một",)), "T1", "recipient", "khu P1"),
        (Audience(zones=("KKT Một",)), "T3", "", "không ở khu công nghiệp, khu vực được chọn"),
        (Audience(segments=("chemical",)), "T-CHEM", "recipient", "nhóm ngành chemical"),
        (Audience(segments=("chemical",)), "T1", "", "không thuộc nhóm ngành được chọn"),
        (Audience(segments=("Chemical",)), "T-CHEM", "recipient", "nhóm ngành Chemical"),
        (Audience(segments=("chemical.use",)), "T-CHEM", "", "không thuộc nhóm ngành được chọn"),
        (Audience(include=("T1",)), "T1", "recipient", "đích danh"),
        (Audience(include=("T1",)), "T2", "", "chỉ gửi các đơn vị nêu đích danh"),
        (Audience(exclude=("T1",)), "T1", "", "bị loại trừ"),
        (Audience(exclude=("INV-A",)), "INV-A", "carrier", "dù có tên trong exclude"),
        (Audience(levels=("tenant",), segments=("chemical",)), "T2", "", "không thuộc nhóm ngành"),
    ],
)
def test_the_preview_says_who_is_reached_and_why(audience: Audience, code: str, role: str, why: str) -> None:
    look = looks(audience)[code]
    assert look.role == role
    assert why in look.why


def test_one_without_a_mailbox_is_seen_before_the_launch() -> None:
    assert not looks(Audience(), register(T1={"contacts": ()}))["T1"].mailbox


def test_the_preview_of_a_day_counts_neither_whom_nor_what_has_ended() -> None:
    box = Contact(email="cu@t1.example", valid_until=date(2023, 11, 30))
    people = register(T1={"contacts": (box,)}, INV_B={"valid_until": date(2023, 11, 30)})
    found = {look.organisation.code: look for look in preview(people, CASCADE, PLAN, date(2023, 12, 1))}
    assert found["T1"].role == "recipient"
    assert not found["T1"].mailbox
    assert (found["INV-B"].role, found["INV-B"].why) == ("", "không còn hoặc chưa có hiệu lực trong danh bạ")
    assert found["T3"].role == ""
    assert found["T-BOTH"].via == ("INV-A",)


_CODES = st.lists(st.sampled_from(["T1", "T2", "T3", "T-CHEM", "T-OUT", "INV-A", "VP"]), max_size=3, unique=True)


@given(
    st.lists(st.sampled_from(["tenant", "investor", "unit"]), max_size=2, unique=True),
    st.lists(st.sampled_from(["P1", "P2"]), max_size=2, unique=True),
    st.booleans(),
    _CODES,
    _CODES,
)
def test_the_preview_and_the_frozen_route_agree(
    levels: list[str], parks: list[str], chemical: bool, inside: list[str], outside: list[str]
) -> None:
    audience = Audience(
        levels=tuple(levels), parks=tuple(parks), segments=("chemical",) if chemical else (), include=tuple(inside),
        exclude=tuple(outside),
    )  # fmt: skip
    frozen = route(ZONED, CASCADE, plan_for(audience)).recipients()
    found = looks(audience)
    assert {code for code, look in found.items() if look.reached or look.role == "exempt"} == set(frozen)
    assert all(look.why for look in found.values()), "everybody has a reason"


# ------------------------------------------------------------------------------------ whom no letter would reach


ENDED = {"INV_B": {"valid_until": date(2023, 11, 30)}}


def told(audience: Audience, people: Register) -> list[tuple[str, str]]:
    """Field and message of every fault of a launch on 01/12/2023."""
    found = check(plan_for(audience), CASCADE, people, at("2023-12-01"), Path(), exercise=True)
    return [(fault.field, fault.message) for fault in found]


def without_investor(people: Register) -> Register:
    """Nobody runs P2."""
    return people.model_copy(update={"parks": (people.parks[0], people.parks[1].model_copy(update={"investor": None}))})


def test_a_park_that_nobody_runs_stops_the_launch_with_the_number_of_those_who_would_be_left_out() -> None:
    ((field, message),) = told(Audience(), without_investor(register()))
    assert (field, message) == (
        "audience", "khu «P2» chưa có chủ đầu tư: 1 đơn vị được chọn không nhận được văn bản (T3)",
    )  # fmt: skip
    ((field, message),) = told(Audience(), register(**ENDED))
    assert message.startswith("khu «P2» có chủ đầu tư «INV-B» không có hiệu lực vào ngày 01/12/2023: 1 đơn vị")


@pytest.mark.parametrize(
    "audience",
    [Audience(parks=("P1",)), Audience(levels=("unit",)), Audience(exclude=("T3",))],
    ids=["another park", "another level", "let go by name"],
)
def test_a_park_that_nobody_runs_hinders_no_launch_that_wants_nobody_there(audience: Audience) -> None:
    assert told(audience, without_investor(register())) == []


@pytest.mark.parametrize(
    ("investor", "why"),
    [("BQL", "thuộc cấp «board»"), ("VP", "thuộc cấp «unit»"), ("T2", "thuộc cấp «tenant»")],
)
def test_a_park_run_by_somebody_of_whom_no_letter_comes_into_parks_stops_the_launch(investor: str, why: str) -> None:
    people = register()
    run = people.model_copy(update={"parks": (people.parks[0], Park(code="P2", name="KCN Hai", investor=investor))})
    ((_, message),) = told(Audience(), run)
    assert message.startswith(f"khu «P2» có chủ đầu tư «{investor}» {why}")
    assert message.endswith("1 đơn vị được chọn không nhận được văn bản (T3)")
    assert told(Audience(levels=("unit",)), run) == [], "nobody there is wanted"


def hop(issuer: str, level: str, who: str) -> HopRule:
    return HopRule.model_validate(
        {"issuer": issuer, "recipients": [{"level": level, "who": who, "policy": {"settles": "forward"}}],
         "template": "t", "issue": "company"}
    )  # fmt: skip


def chain(investors: str, tenants: str) -> Cascade:
    """City → board → investors → tenants, the two lower hops to these."""
    hops = (hop("city", "board", "all"), hop("board", "investor", investors), hop("investor", "tenant", tenants))
    return CASCADE.model_copy(update={"hops": hops})


def people_below(board: str | None) -> Register:
    """Every investor is below this one, every tenant below INV-A."""
    above = {"investor": board, "tenant": "INV-A"}
    known = register().organisations
    return Register(
        organisations=tuple(one.model_copy(update={"parent": above.get(one.level, one.parent)}) for one in known),
        parks=PARKS,
    )


def changed(people: Register, code: str, **fields: object) -> Register:
    return people.model_copy(
        update={
            "organisations": tuple(
                one.model_copy(update=fields) if one.code == code else one for one in people.organisations
            )
        }
    )


@pytest.mark.parametrize(
    ("cascade", "people", "messages"),
    [
        (chain("children", "children"), people_below("BQL"), []),
        (
            chain("children", "children"), changed(people_below("BQL"), "T1", parent=None),
            ["chưa ghi cấp trên trực tiếp: 1 đơn vị được chọn không nhận được văn bản (T1)"],
        ),
        (
            chain("children", "children"), changed(people_below("BQL"), "T1", parent="VP"),
            ["cấp trên trực tiếp «VP» thuộc cấp «unit», không chuyển văn bản đến cấp «tenant»: 1 đơn vị"],
        ),
        (
            chain("children", "children"), changed(people_below("BQL"), "T1", parent="T-GONE"),
            ["cấp trên trực tiếp «T-GONE» không có hiệu lực vào ngày 01/12/2023: 1 đơn vị"],
        ),
        (
            chain("children", "children"), changed(people_below("BQL"), "INV-A", parent=None),
            [
                "chưa ghi cấp trên trực tiếp: 1 đơn vị được chọn không nhận được văn bản (INV-A)",
                "cấp trên trực tiếp «INV-A» không nhận được văn bản: 6 đơn vị được chọn không nhận được văn bản "
                "(T-BOTH, T-CHEM, T-OUT, T1, T2…)",
            ],
        ),
        (
            chain("all", "parks"), register(),
            ["không thuộc khu công nghiệp nào: 1 đơn vị được chọn không nhận được văn bản (T-OUT)"],
        ),
        (
            chain("children", "all"), people_below(None),
            [
                "chưa ghi cấp trên trực tiếp: 2 đơn vị được chọn không nhận được văn bản (INV-A, INV-B)",
                "không có tổ chức nào ở cấp «investor» chuyển văn bản đến: 6 đơn vị",
            ],
        ),
        (
            chain("children", "outside_parks"), people_below("BQL"),
            ["ở trong khu công nghiệp, mà chuỗi chỉ chuyển văn bản đến nơi ngoài khu: 5 đơn vị"],
        ),
    ],
    ids=["whole", "no parent", "parent of another level", "parent that ended", "parent itself lost", "no park",
         "nobody issues", "inside a park"],
)  # fmt: skip
def test_who_is_selected_and_has_nobody_above_to_send_the_letter_stops_the_launch_and_is_counted(
    cascade: Cascade, people: Register, messages: list[str]
) -> None:
    plan = PLAN.model_copy(update={"policies": {}, "segment_duties": (), "audience": Audience(exclude=("VP",))})
    found = check(plan, cascade, people, at("2023-12-01"), Path(), exercise=True)
    told = [one.message for one in found]
    assert len(told) == len(messages), told
    for said in messages:
        assert any(one.startswith(said) for one in told), told
    assert all(one.field == "audience" and one.remedy for one in found)


def test_a_level_that_is_asked_for_and_stands_below_nobody_stops_the_launch() -> None:
    ((field, message),) = told(Audience(levels=("tenant", "leader")), register())
    assert (field, message) == (
        "audience", "chuỗi không chuyển văn bản đến cấp «leader»: 2 đơn vị được chọn không nhận được văn bản (PTB, TB)",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("audience", "people", "why"),
    [
        (Audience(parks=("P1",), include=("T3",)), register(**ENDED), "«T3»: không có chặng"),
        (Audience(parks=("P1",), include=("TB",)), register(), "«TB»: không có chặng"),
        (Audience(include=("INV-B", "T1")), register(**ENDED), "«INV-B»: không có hiệu lực vào ngày 01/12/2023"),
        (Audience(include=("T1", "T2"), exclude=("T2",)), register(), "«T2»: mã này cũng có trong exclude"),
    ],
)
def test_whoever_is_named_and_cannot_be_reached_stops_the_launch(
    audience: Audience, people: Register, why: str
) -> None:
    ((field, message),) = told(audience, people)
    assert field == "audience.include"
    assert why in message


def test_whoever_is_named_is_reached_in_a_park_that_is_not_selected() -> None:
    assert told(Audience(parks=("P1",), include=("T3",)), register()) == []


# ------------------------------------------------------------------------------------ frozen at launch


async def test_a_later_change_of_the_registry_moves_no_running_campaign(opened: Town) -> None:
    newcomer = organisation("T-NEW", "tenant", parks=("P1",))
    await registry.take_over(opened.house, Register(organisations=(newcomer,)))
    await opened.pass_on("INV-A")
    await opened.work()
    assert opened.postbox.to(address("T-NEW")) == []
    assert len(opened.postbox.to(address("T1"))) == 1


async def test_a_campaign_of_several_documents_cites_and_encloses_them_all(town: Town) -> None:
    first = PLAN.directives[0]
    second = first.model_copy(update={"number": "9001", "issuer": "Bộ Mẫu"})
    await town.launch(directives=(first, second), audience=to("T-OUT"))
    await town.work()
    await town.say("BQL")
    await town.work()
    (mail,) = town.postbox.to(address("T-OUT"))
    text = text_of(mail)
    assert "8184/VP-NCKTGS" in text
    assert "9001/VP-NCKTGS" in text
    assert len(list(mail.iter_attachments())) >= 3, "the Board's letter and both documents"


# ------------------------------------------------------------------------------------ late joiners


async def _registered(town: Town, code: str = "T-NEW", **more: object) -> None:
    newcomer = organisation(code, "tenant", **({"parks": ("P1",)} | more))
    await registry.take_over(town.house, Register(organisations=(newcomer,)))


async def test_who_joins_after_the_passing_on_gets_the_investors_letter_and_a_deadline_of_its_own(opened: Town) -> None:
    await opened.pass_on("INV-A", "15")
    await opened.until("2023-12-07", "09:00")
    await _registered(opened)
    joined = await joining.join(opened.house, opened.campaign, "T-NEW", "Bà Mẫu")
    await opened.work()
    (mail,) = opened.postbox.to(address("T-NEW"))
    assert "INV-A" in str(mail["From"]) or "INV-A" in str(mail["Subject"])
    printed = (await opened.hop("INV-A")).due_at
    assert printed == at("2023-12-08", "17:00")
    assert joined.due_at == at("2023-12-12", "17:00"), "three working days of its own: reached after half of the time"
    row = await opened.delivery("T-NEW")
    assert (row.state, row.due_at) == ("SENT", joined.due_at)
    await opened.until("2023-12-12", "08:00")
    assert "12/12 08:00 T-NEW reminder" in await opened.diary("reminder", to=("T-NEW",))
    await opened.until("2023-12-15", "09:00")
    assert [case.kind for case in await opened.cases("T-NEW")] == ["silent"]
    assert (await audit.audit(opened.house, opened.campaign)).findings == []


async def test_a_hop_that_had_settled_is_open_again_for_the_newcomer(opened: Town) -> None:
    await opened.pass_on("INV-A")
    await opened.work()
    for code in ("T1", "T2", "T-CHEM", "T-BOTH"):
        await opened.say(code)
    await opened.work()
    assert (await opened.hop("INV-A")).state == "SETTLED"
    await _registered(opened)
    await joining.join(opened.house, opened.campaign, "T-NEW", "Bà Mẫu")
    await opened.work()
    assert (await opened.hop("INV-A")).state == "OPEN"
    await opened.say("T-NEW")
    await opened.work()
    assert (await opened.hop("INV-A")).state == "SETTLED"


async def test_who_joins_before_the_passing_on_waits_for_the_letter_like_the_others(opened: Town) -> None:
    await _registered(opened)
    joined = await joining.join(opened.house, opened.campaign, "T-NEW", "Bà Mẫu")
    assert joined.due_at is None
    await opened.work()
    assert opened.postbox.to(address("T-NEW")) == []
    await opened.pass_on("INV-A")
    await opened.work()
    assert len(opened.postbox.to(address("T-NEW"))) == 1
    row = await opened.delivery("T-NEW")
    assert [way.park for way in await opened.all(WayRow, WayRow.delivery_id == row.id)] == ["P1"]


async def test_a_newcomer_in_two_parks_has_one_obligation_by_the_way_that_is_open(opened: Town) -> None:
    await opened.pass_on("INV-B")
    await opened.work()
    await _registered(opened, parks=("P1", "P2"))
    joined = await joining.join(opened.house, opened.campaign, "T-NEW", "Bà Mẫu")
    assert joined.issuer == "INV-B"
    await opened.work()
    await opened.pass_on("INV-A")
    await opened.work()
    assert len(opened.postbox.to(address("T-NEW"))) == 1
    assert "another_way" in await opened.log("T-NEW")


async def test_a_newcomer_without_a_mailbox_is_address_work_from_the_start(opened: Town) -> None:
    await opened.pass_on("INV-A")
    await opened.work()
    await _registered(opened, contacts=())
    await joining.join(opened.house, opened.campaign, "T-NEW", "Bà Mẫu")
    assert (await opened.delivery("T-NEW")).state == "UNDELIVERABLE"
    assert [case.kind for case in await opened.cases("T-NEW")] == ["undeliverable"]


async def test_who_is_not_active_by_the_registry_does_not_join(opened: Town) -> None:
    for dates in ({"valid_until": "2023-11-30"}, {"valid_from": "2023-12-02"}):
        await _registered(opened, "T-OLD", **dates)
        with pytest.raises(ActRefused, match="hiệu lực trong danh bạ"):
            await joining.join(opened.house, opened.campaign, "T-OLD", "Bà Mẫu")


async def test_joining_is_refused_where_no_letter_leads_and_direct_sends_the_authoritys_own(opened: Town) -> None:
    people = Register(
        organisations=(organisation("INV-C", "investor"), organisation("T-NEW", "tenant", parks=("P3",))),
        parks=(Park(code="P3", name="KCN Ba", investor="INV-C"),),
    )
    await registry.take_over(opened.house, people)
    with pytest.raises(ActRefused, match="INV-C không chuyển tiếp"):
        await joining.join(opened.house, opened.campaign, "T-NEW", "Bà Mẫu")
    joined = await joining.join(opened.house, opened.campaign, "T-NEW", "Bà Mẫu", direct=True)
    assert joined.issuer == "BQL"
    await opened.work()
    assert len(opened.postbox.to(address("T-NEW"))) == 1


@pytest.mark.parametrize(
    ("code", "by", "error"), [("T1", "A", ActRefused), ("T-NEW", " ", ActRefused), ("?", "A", NotFound)]
)
async def test_nobody_joins_twice_unnamed_or_unknown(
    opened: Town, code: str, by: str, error: type[Exception]
) -> None:
    await _registered(opened)
    with pytest.raises(error):
        await joining.join(opened.house, opened.campaign, code, by)


async def test_nobody_joins_a_held_campaign(opened: Town) -> None:
    await _registered(opened)
    await campaigns.hold(opened.house, opened.campaign, "A")
    with pytest.raises(ActRefused, match="tạm dừng"):
        await joining.join(opened.house, opened.campaign, "T-NEW", "A")


async def recalled(town: Town, issuer: str) -> str:
    """The letter of this issuer is taken back from everybody; its id."""
    letter = await town.letter(issuer)
    await recalls.recall(town.house, letter.id, "Bà Mẫu", "sai nội dung")
    await town.work()
    return letter.id


@pytest.mark.parametrize("passed_on", [False, True], ids=["waits below it", "has opened below it"])
@pytest.mark.parametrize("direct", [False, True], ids=["by its investor", "direct"])
async def test_nobody_joins_by_a_letter_that_was_recalled(opened: Town, passed_on: bool, direct: bool) -> None:
    if passed_on:
        await opened.pass_on("INV-A")
        await opened.work()
    await _registered(opened)
    old = await recalled(opened, "BQL")
    with pytest.raises(ActRefused, match="thu hồi"):
        await joining.join(opened.house, opened.campaign, "T-NEW", "A", direct=direct)
    assert await opened.all(Delivery, Delivery.recipient == "T-NEW") == []
    words = PLAN.letter.model_copy(update={"subject": "văn bản thay thế"})
    await amending.replace(opened.house, old, words, "Bà Mẫu", "sai nội dung")
    await opened.work()
    await joining.join(opened.house, opened.campaign, "T-NEW", "A", direct=direct)


async def test_who_has_another_way_joins_by_the_one_that_was_not_recalled(opened: Town) -> None:
    for investor in ("INV-A", "INV-B"):
        await opened.pass_on(investor)
    await opened.work()
    await _registered(opened, parks=("P1", "P2"))
    async with opened.house.store.act() as ledger:
        # Once companies' letters could be recalled, too.
        await ledger.change(Letter, Letter.issuer == "INV-A", state="CANCELLED")
    assert (await joining.join(opened.house, opened.campaign, "T-NEW", "A")).issuer == "INV-B"


async def test_a_recalled_letter_is_not_sent_past_an_issuer(opened: Town) -> None:
    await recalled(opened, "BQL")
    with pytest.raises(ActRefused, match="thu hồi"):
        await steering.release(opened.house, opened.campaign, "INV-A", "Bà Mẫu", "không trả lời")
    assert (await opened.hop("INV-A")).bypassed_at is None


async def test_a_newcomer_is_counted_everywhere(opened: Town) -> None:
    await _registered(opened)
    before = len(await opened.all(WayRow))
    await joining.join(opened.house, opened.campaign, "T-NEW", "A")
    assert len(await opened.all(WayRow)) == before + 1
    await opened.say("T-NEW", Event.ACKNOWLEDGED, channel="phone", actor="QHXD")
    assert (await opened.delivery("T-NEW")).state == "ACKNOWLEDGED"
