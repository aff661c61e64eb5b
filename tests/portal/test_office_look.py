"""What operators see: campaigns, the chart, the table with its search, filters, orders and pages."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, select

from congvan.acts import hops, progress, roll
from congvan.acts.roll import Mark, Order, Wanted
from congvan.house import House
from congvan.portal.office.asked import asked
from congvan.portal.office.chart import draw
from congvan.rules.protocol import State, settled
from congvan.rules.records import Settles
from congvan.store.tables import Delivery
from tests.portal.grown import grow
from tests.portal.office_world import Clerk

T0 = datetime(2023, 12, 1, 1, tzinfo=UTC)


async def everybody(house: House) -> list[Delivery]:
    async with house.store.view() as ledger:
        rows: list[Delivery] = await ledger.all(select(Delivery).order_by(Delivery.code))
        return rows


async def found(house: House, wanted: Wanted) -> set[str]:
    campaign = await roll.campaign_of(house, "8184")
    rows = await roll.page(house, campaign.id, wanted, Order.CODE, down=False, limit=1_000, offset=0)
    assert len(rows) == await roll.count(house, campaign.id, wanted)
    return {row.recipient for row in rows}


# ------------------------------------------------------------------------------------ the table


@pytest.mark.parametrize(
    "typed",
    [
        "ban quan ly khu kinh te", "BAN QUẢN LÝ", unicodedata.normalize("NFD", "Quản lý Khu kinh tế"), "kinh tế  quản",
        "Quản lí"[:5], "bql",
    ],
)  # fmt: skip
async def test_a_name_is_found_however_it_is_typed(clerk: Clerk, typed: str) -> None:
    page = await clerk.see(f"/office/c/8184/deliveries?q={typed}")
    assert ">BQL</a>" in page


@pytest.mark.parametrize("typed", ["%", "_", "không có đơn vị này", "x9 OR 1=1", "'; DROP TABLE deliveries; --"])
async def test_a_search_that_fits_nobody_finds_nobody(clerk: Clerk, typed: str) -> None:
    assert "Không có nơi nhận nào khớp" in await clerk.see(f"/office/c/8184/deliveries?q={typed}")


async def test_each_filter_finds_whom_it_names_and_no_other(house: House) -> None:
    await grow(house, 300, hops=4)
    house.clock.forward(days=5)  # type: ignore[attr-defined]
    now = await house.clock.now()
    rows = await everybody(house)

    def those(test: Any) -> set[str]:
        return {row.recipient for row in rows if test(row)}

    def done(row: Delivery) -> bool:
        return settled(State(row.state), Settles(row.settles))

    def past(row: Delivery) -> bool:
        return row.due_at is not None and row.due_at < now

    assert await found(house, Wanted(state="SENT")) == those(lambda row: row.state == "SENT")
    assert await found(house, Wanted(level="unit")) == those(lambda row: row.level == "unit")
    assert await found(house, Wanted(park="-")) == those(lambda row: not row.park)
    assert await found(house, Wanted(mark=Mark.OVERDUE)) == those(lambda row: past(row) and not done(row))
    assert await found(house, Wanted(mark=Mark.SILENT)) == those(
        lambda row: past(row) and row.state in ("SENT", "DELIVERED")
    )
    assert await found(house, Wanted(mark=Mark.OPEN)) == those(lambda row: not done(row))
    assert await found(house, Wanted(mark=Mark.UNREACHED)) == those(
        lambda row: row.state == "UNDELIVERABLE" or (row.address is None and not done(row))
    )
    both = Wanted(mark=Mark.OVERDUE, state="DELIVERED", search="điện tử")
    assert await found(house, both) == those(
        lambda row: past(row) and row.state == "DELIVERED" and "Điện tử" in row.name
    )


@pytest.mark.parametrize("order", list(Order))
@pytest.mark.parametrize("down", [False, True])
async def test_the_pages_of_every_order_hold_everybody_once(house: House, order: Order, down: bool) -> None:
    await grow(house, 130)
    campaign = await roll.campaign_of(house, "8184")
    seen: list[roll.Entry] = []
    for offset in range(0, 130, 50):
        seen += await roll.page(house, campaign.id, Wanted(), order, down=down, limit=50, offset=offset)
    assert sorted(row.recipient for row in seen) == sorted(row.recipient for row in await everybody(house))
    if order in (Order.DUE, Order.ANSWER):
        values = [getattr(row, {Order.DUE: "due_at", Order.ANSWER: "confirmed_at"}[order]) for row in seen]
        known = [value for value in values if value]
        assert known == sorted(known, reverse=down)


async def test_what_makes_no_sense_in_an_address_is_left_out(clerk: Clerk) -> None:
    plain = await clerk.see("/office/c/8184/deliveries")
    for query in ("state=NONE", "mark=x", "sort=password", "page=-3", "page=999999999999", "page=²"):
        page = await clerk.see(f"/office/c/8184/deliveries?{query}")
        assert page.count("<tr>") == plain.count("<tr>"), query
    # PostgreSQL would take no such question.
    await clerk.see("/office/c/8184/deliveries?level=%00", 400)


@pytest.mark.parametrize(
    "path", ["", "/c/8184", "/c/8184/deliveries", "/letters", "/requests", "/book/CDT-VSIP", "/plans/8184"]
)
async def test_nothing_is_said_to_be_done_because_an_address_says_so(clerk: Clerk, path: str) -> None:
    page = await clerk.see(f"/office{path}?done=Hãy gọi 0900 000 000")
    assert 'class="notice good"' not in page
    assert "0900 000 000" not in page


async def test_a_page_beyond_the_last_is_the_last(clerk: Clerk, house: House) -> None:
    await grow(house, 130)
    for path in ("/office/c/8184/deliveries", "/office/book"):
        page = await clerk.see(f"{path}?page=9999")
        shown = re.search(r"Trang (\d+)/(\d+)", page)
        assert shown is not None, "there is a page"
        assert shown[1] == shown[2]
        assert '<td class="code">' in page


async def test_a_script_in_a_name_is_only_a_name(clerk: Clerk, house: House) -> None:
    async with house.store.act() as ledger:
        await ledger.change(Delivery, Delivery.recipient == "BQL", name='<script>alert("1")</script>')
    page = await clerk.see("/office/c/8184/deliveries")
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "<script>" not in await clerk.see('/office/c/8184/deliveries?q="><script>x</script>')


async def test_a_campaign_that_is_not_there_is_not_found(clerk: Clerk) -> None:
    for path in ("/office/c/khong", "/office/c/khong/deliveries", "/office/c/..%2F..%2Fetc"):
        await clerk.see(path, 404)


# ------------------------------------------------------------------------------------ as quick for many as for few


@pytest.fixture
def statements(house: House) -> list[str]:
    said: list[str] = []

    @event.listens_for(house.store.engine.sync_engine, "before_cursor_execute")
    def note(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        said.append(statement)

    return said


@pytest.mark.parametrize("path", ["/office/c/8184", "/office/c/8184/deliveries", "/office"])
async def test_a_page_asks_as_many_questions_for_many_recipients_as_for_few(
    clerk: Clerk, house: House, statements: list[str], path: str
) -> None:
    async def asked_for() -> int:
        statements.clear()
        await clerk.see(path)
        return len([one for one in statements if one.startswith("SELECT")])

    few = await asked_for()
    await grow(house, 900, hops=40)
    house.clock.forward(minutes=2)  # type: ignore[attr-defined]
    await clerk.see("/office/sign-in")
    assert await asked_for() <= few


async def test_a_page_of_the_table_and_every_count_is_read_from_an_index(house: House) -> None:
    await grow(house, 400, hops=4)
    campaign = await roll.campaign_of(house, "8184")
    plans: list[str] = []
    async with house.store.view() as ledger:
        for order, column in roll._COLUMNS.items():
            picked = (
                select(Delivery.id)
                .where(Delivery.campaign_id == campaign.id)
                .order_by(column, Delivery.id)
                .limit(50)
                .offset(100)
            )
            plans.append(f"{order}: {await _plan(ledger, picked)}")
        plans.append(await _plan(ledger, progress._groups(campaign.id)))
    for plan in plans:
        assert "COVERING INDEX" in plan, plan
        assert "TEMP B-TREE" not in plan, plan


async def test_whether_a_hop_is_open_is_answered_without_reading_who_has_settled(house: House) -> None:
    await grow(house, 400, hops=4)
    async with house.store.view() as ledger:
        hop = await ledger.first(select(Delivery.hop_id).where(Delivery.level == "tenant"))
        plan = await _plan(ledger, hops._open_of().params(hop=str(hop)))
    searches = re.findall(r"ix_deliveries_figures \(campaign_id=\? AND hop_id=\? AND state=\? AND settles=\?\)", plan)
    assert len(searches) == 3, plan


async def _plan(ledger: Any, query: Any) -> str:
    text = query.compile(ledger.session.bind, compile_kwargs={"literal_binds": True})
    result = await (await ledger.session.connection()).exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")
    return " / ".join(str(row[3]) for row in result)


# ------------------------------------------------------------------------------------ figures and the chart


async def test_the_figures_are_those_of_the_command_line(house: House) -> None:
    from congvan.acts import figures

    await grow(house, 300, hops=4)
    house.clock.forward(days=5)  # type: ignore[attr-defined]
    known = (await figures.status(house))["campaigns"][0]
    campaign = await roll.campaign_of(house, "8184")
    seen = await progress.progress(house, campaign)
    for name in ("total", "settled", "overdue", "escalated", "late"):
        assert getattr(seen.total, name) == known["totals"][name], name
    by_hop = {hop["id"]: hop["totals"] for hop in known["hops"] if hop["totals"]}

    def walk(branches: list[progress.Branch]) -> None:
        for one in branches:
            if one.hop_id in by_hop:
                assert one.figures.total == by_hop.pop(one.hop_id)["total"]
            walk(one.below)

    walk(seen.roots)
    assert not by_hop
    assert sum(number for _hour, number in seen.answers) <= seen.total.answered


def test_the_chart_counts_what_has_come_and_what_was_due_until_now() -> None:
    answers = [(T0, 3), (T0 + timedelta(hours=30), 2), (T0 + timedelta(days=9), 4)]
    deadlines = [(T0 + timedelta(days=1), 4), (T0 + timedelta(days=7), 6)]
    chart = draw(answers, deadlines, 10, T0, T0 + timedelta(days=2))
    assert chart is not None
    assert (chart.answered, chart.expected) == (5, 4)
    assert [(day.answered, day.due) for day in chart.days] == [(3, 0), (5, 4), (5, 4)]
    assert chart.came.endswith(f"{chart.now_x} {_y(5)}")
    assert float(re.findall(r"V([\d.]+)$", chart.due)[0]) == _y(10)


def _y(number: int) -> float:
    from congvan.portal.office import chart

    return round(chart.HEIGHT - chart._BOTTOM - number / 10 * (chart.HEIGHT - chart._TOP - chart._BOTTOM), 1)


def test_there_is_no_chart_before_anything_is_due() -> None:
    assert draw([], [], 10, T0, T0) is None


def test_an_address_and_what_it_asks_are_the_same() -> None:
    view = asked({"q": "công ty", "mark": "overdue", "sort": "due", "down": "yes", "page": "3"}, "hoa")
    assert view.query() == "q=c%C3%B4ng+ty&mark=overdue&sort=due&down=yes&page=3"
    assert view.sorted_by("due") == "q=c%C3%B4ng+ty&mark=overdue&sort=due"
    assert view.sorted_by("code") == "q=c%C3%B4ng+ty&mark=overdue"
