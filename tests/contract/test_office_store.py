"""The operators' questions have the same answers on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import event

from congvan.acts import accounts, address_book, book_cards, bulk, clerks, figures, progress, registry, roll
from congvan.acts.roll import Mark, Order, Wanted
from congvan.house import House
from congvan.registry import read_register
from congvan.rules.records import Organisation
from congvan.store.database import Store
from congvan.store.schema import migrate
from tests.portal.grown import grow
from tests.portal.world import build_house, run_campaign
from tests.postgres import fresh_database

PASSWORD = "mùa mưa năm nay đến sớm"


@pytest.fixture(params=["sqlite", "postgresql"])
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    url = f"sqlite+aiosqlite:///{tmp_path / 'office.db'}"
    if request.param == "postgresql":
        url = await fresh_database(request.getfixturevalue("postgres_url"))
    await run_campaign(url, tmp_path)
    made = build_house(url, tmp_path)
    await grow(made, 150, hops=4)
    made.clock.forward(days=5)  # type: ignore[attr-defined]
    yield made
    await made.close()


async def test_the_roll_the_counts_and_the_chart(house: House) -> None:
    campaign = await roll.campaign_of(house, "8184")
    known = (await figures.status(house))["campaigns"][0]["totals"]
    found = await progress.progress(house, campaign)
    assert (found.total.total, found.total.overdue, found.total.settled) == (
        known["total"], known["overdue"], known["settled"],
    )  # fmt: skip
    assert sum(number for _hour, number in found.answers) > 50
    assert all(hour.minute == 0 and hour.tzinfo is not None for hour, _number in found.answers)
    for mark in Mark:
        wanted = Wanted(mark=mark, mine="hoa")
        rows = await roll.page(house, campaign.id, wanted, Order.DUE, down=True, limit=500, offset=0)
        assert len(rows) == await roll.count(house, campaign.id, wanted), mark
    for order in Order:
        seen: list[str] = []
        for offset in (0, 60, 120):
            page = await roll.page(house, campaign.id, Wanted(), order, down=False, limit=60, offset=offset)
            seen += [row.id for row in page]
        assert len(seen) == len(set(seen)) == known["total"], order
    exported = [row.id async for rows in roll.everything(house, campaign.id, Wanted(state="SENT")) for row in rows]
    assert len(exported) == known["SENT"]


async def test_accounts_sessions_and_the_lock(house: House) -> None:
    await accounts.add(house, accounts.Account("hoa", "Hoa", accounts.Role.LEADER, ""), PASSWORD)
    seat = await accounts.sign_in(house, "hoa", PASSWORD, "10.0.0.1")
    assert (await accounts.seated(house, seat.token)) == seat.account
    for _ in range(accounts.BY_NAME):
        with pytest.raises(accounts.SignInRefused):
            await accounts.sign_in(house, "hoa", "sai rồi sai rồi", "10.0.0.1")
    with pytest.raises(accounts.SignInLocked):
        await accounts.sign_in(house, "hoa", PASSWORD, "10.0.0.1")
    await accounts.sign_out(house, seat.token)
    assert await accounts.seated(house, seat.token) is None


async def test_the_address_book_the_clerks_desk_and_acts_for_many(house: House) -> None:
    box = {"email": "moi@vsip.example", "designated_by": "công văn 15"}
    await address_book.put_mailbox(house, "CDT-VSIP", box, "hoa", "công văn 15")
    card = await book_cards.card(house, "CDT-VSIP")
    assert card.changes[0].by == "hoa"
    assert [one.code for one in card.open_ones] == ["8184-CDT-VSIP"]
    rows, total = await book_cards.find(house, "vsip", "investor", limit=10, offset=0)
    assert ([row.code for row in rows], total) == (["CDT-VSIP"], 1)
    assert await clerks.waiting(house) == []
    campaign = await roll.campaign_of(house, "8184")
    outlook = await bulk.look(house, campaign.id, Wanted(level="investor"), bulk.Order(bulk.What.EXEMPT, "x"))
    assert await bulk.carry_out(house, outlook.chosen, bulk.Order(bulk.What.EXEMPT, "x"), "hoa") == (2, 0)


async def test_a_registry_is_taken_over_in_as_few_statements_as_it_has_tables(house: House) -> None:
    register = await registry.present(house)
    first, *others = register.organisations
    renamed = register.model_copy(update={"organisations": (first.model_copy(update={"name": "Tên mới"}), *others)})
    seen: list[str] = []

    @event.listens_for(house.store.engine.sync_engine, "before_cursor_execute")
    def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    await registry.take_over(house, renamed)
    assert len([one for one in seen if one.startswith("INSERT")]) == 2
    assert await registry.present(house) == renamed


async def test_what_a_file_does_not_speak_of_stays_as_it_is_known(house: House, tmp_path: Path) -> None:
    stored = await registry.present(house)
    old = next(one for one in stored.organisations if one.parks and one.segments and one.contacts)
    other = next(one for one in stored.organisations if one.contacts and one.level == old.level and one != old)
    folder = tmp_path / "moi"
    folder.mkdir()

    async def taken(**tables: str) -> dict[str, Organisation]:
        for name, table in tables.items():
            (folder / f"{name}.csv").write_text(table, "utf-8")
        read = read_register([folder], None, await registry.present(house))
        await registry.take_over(house, read, "hoa", "công văn 3")
        return {one.code: one for one in (await registry.present(house)).organisations}

    now = await taken(organisations=f"Mã tổ chức,Tên tổ chức,Cấp\n{old.code},Tên mới,{old.level}\n")
    assert now[old.code] == old.model_copy(update={"name": "Tên mới"})
    rows = f"{old.code},Tên mới,{old.level},\n{other.code},B,{old.level},\n"
    now = await taken(
        organisations=f"Mã tổ chức,Tên tổ chức,Cấp,Nhóm ngành\n{rows}",
        contacts=f"Mã tổ chức,Thư điện tử\n{old.code},moi@dn.example\n",
        parks=f"Mã khu,Tên khu\n{old.parks[0]},Tên khu mới\n",
    )
    assert now[old.code].segments == (), "an empty cell under a heading says that there is nothing"
    assert now[old.code].parks == old.parks
    assert [one.email for one in now[old.code].contacts] == ["moi@dn.example"]
    assert now[other.code].contacts == other.contacts, "the table of mailboxes does not speak of it"
    before = {one.code: one for one in stored.parks}[old.parks[0]]
    after = {one.code: one for one in (await registry.present(house)).parks}[old.parks[0]]
    assert after == before.model_copy(update={"name": "Tên khu mới"})


async def test_a_database_of_the_first_release_is_found_by_name_after_the_upgrade(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'old.db'}"
    store = Store(url)
    await migrate(store, "0005")
    async with store.engine.begin() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO organisations (code, name, level, record, changed_at) VALUES ('A', 'Công ty Đá', 'tenant', "
            """'{"code": "A", "name": "Công ty Đá", "level": "tenant"}', '2023-12-01 00:00:00')"""
        )
    await migrate(store)
    async with store.engine.begin() as connection:
        found = (await connection.exec_driver_sql("SELECT folded FROM organisations")).scalar()
    await store.close()
    assert str(found).split() == ["cong", "ty", "da", "a"]
