"""The registry of the demonstration: real parks, invented tenants, the same on every machine."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from congvan.reading import read_record
from congvan.registry import read_register, without_mailbox, write_register
from congvan.registry.invented import ParkPlan, World, invent
from congvan.rules.records import Organisation, Register

FOLDER = Path(__file__).parents[2] / "config" / "registry" / "hai-phong-2023"
LEVELS = ("city", "board", "leader", "unit", "investor", "tenant")


@pytest.fixture(scope="module")
def world() -> World:
    return read_record(FOLDER / "world.yaml", World)[0]


@pytest.fixture(scope="module")
def register() -> Register:
    return read_register([FOLDER], LEVELS)


@pytest.fixture(scope="module")
def tenants(register: Register) -> list[Organisation]:
    return [one for one in register.organisations if one.level == "tenant"]


def test_the_files_are_what_the_generator_makes(world: World, register: Register, tmp_path: Path) -> None:
    write_register(invent(world), tmp_path)
    for name in ("organisations.csv", "parks.csv", "contacts.csv", "signers.csv"):
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes(), f"run congvan.registry.invented: {name}"
    assert invent(world) == register.model_copy(update={"untold": {}})


def test_another_seed_gives_other_tenants(world: World, register: Register) -> None:
    other = invent(world.model_copy(update={"seed": world.seed + 1}))
    assert [one.code for one in other.organisations] == [one.code for one in register.organisations]
    assert other != register


def test_fourteen_real_parks_stand_beside_the_invented_ones(register: Register) -> None:
    real = [park for park in register.parks if not park.invented]
    assert len(real) == 14
    assert all(
        park.name.startswith("KCN Mẫu ") and park.code.startswith("MAU-") for park in register.parks if park.invented
    )
    investors = {one.code: one for one in register.organisations if one.level == "investor"}
    assert all(park.investor in investors for park in register.parks)
    assert all(investors[str(park.investor)].invented == park.invented for park in register.parks)


def test_the_numbers_are_those_of_a_city(register: Register, tenants: list[Organisation]) -> None:
    levels = Counter(one.level for one in register.organisations)
    assert (levels["city"], levels["board"], levels["leader"], levels["unit"]) == (1, 1, 2, 10)
    in_parks = [one for one in tenants if one.parks]
    assert 580 <= len(in_parks) <= 620
    assert len(tenants) - len(in_parks) == 100
    chemical = [one for one in tenants if "chemical" in one.segments]
    assert 0.05 <= len(chemical) / len(tenants) <= 0.12
    parts = Counter(segment for one in chemical for segment in one.segments)
    assert min(parts[f"chemical.{part}"] for part in ("production", "trade", "use")) > 5


def test_some_tenants_stand_in_two_parks_and_no_real_park_is_drawn_into_an_invented_one(
    register: Register, tenants: list[Organisation]
) -> None:
    invented = {park.code: park.invented for park in register.parks}
    twice = [one for one in tenants if len(one.parks) == 2]
    assert len(twice) >= 10
    assert all(len({invented[park] for park in one.parks}) == 1 for one in twice)
    assert any(invented[one.parks[0]] for one in twice)


def test_a_park_has_no_tenants_yet_and_an_investor_has_two_parks(
    register: Register, tenants: list[Organisation]
) -> None:
    settled = {park for one in tenants for park in one.parks}
    assert any(park.code not in settled for park in register.parks)
    of_investor = Counter(str(park.investor) for park in register.parks)
    assert of_investor["CDT-MAU-B"] == 2
    assert of_investor["CDT-DEEPC"] == 2


def test_whoever_is_invented_is_marked_and_nobody_has_a_mailbox_that_exists(
    register: Register, tenants: list[Organisation]
) -> None:
    assert all(one.invented and one.tax_code.startswith("99") for one in tenants)
    assert without_mailbox(register) == ()
    emails = [contact.email for one in register.organisations for contact in one.contacts]
    assert all(email.endswith(".example") for email in emails)
    assert len(set(emails)) == len(emails)
    assert not any(contact.name for one in register.organisations for contact in one.contacts)


def test_no_two_tenants_share_a_name(tenants: list[Organisation]) -> None:
    assert len({one.name for one in tenants}) == len(tenants)


def test_whoever_issues_a_letter_has_a_signer(register: Register) -> None:
    issuers = [one for one in register.organisations if one.level in ("board", "investor")]
    assert all(one.signers and one.abbreviation and one.place for one in issuers)
    (board,) = (one for one in issuers if one.level == "board")
    assert (board.signers[0].name, board.signers[0].authority) == ("Chu Đức Anh", "KT. TRƯỞNG BAN")


def test_a_world_of_any_size_can_be_invented(world: World) -> None:
    parks = tuple(
        ParkPlan(code=f"P{number}", name=f"KCN Mẫu {number}", investor="CDT-MAU-A", tenants=50, invented=True)
        for number in range(60)
    )
    organisations = invent(world.model_copy(update={"parks": parks})).organisations
    assert sum(bool(one.parks) for one in organisations) == 3000


def test_where_words_run_out_a_number_tells_tenants_apart(world: World) -> None:
    few = world.names.model_copy(update={"own_names": ("Một",), "trades": ("Hai",), "legal_forms": ("Ba",)})
    tenants = world.tenants.model_copy(update={"foreign_percent": 0, "chemical_percent": 0})
    made = invent(world.model_copy(update={"names": few, "tenants": tenants})).organisations
    names = [one.name for one in made if one.level == "tenant"]
    assert len(set(names)) == len(names) == 700
    assert {"Ba Hai Một", "Ba Hai Một 2"} <= set(names)
