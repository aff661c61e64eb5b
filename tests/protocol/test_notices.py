"""What the unit in charge is told of by automations: few answers at half time, and cases that nobody takes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from congvan.acts import campaigns, escalations, notices
from congvan.store.tables import Case
from tests.conftest import text_of
from tests.protocol.world import Town, address


async def signals(town: Town, what: str) -> list[dict[str, int]]:
    """The numbers of what is worth a signal now."""
    return [dict(one.numbers) for one in await notices.look(town.house) if one.what == what]


async def passed_on(town: Town) -> None:
    """The board's letter has gone to its five recipients."""
    await town.launch()
    await town.work()
    await town.say("BQL")
    await town.until("2023-12-01", "16:00")


@pytest.mark.parametrize(("share", "told"), [(0.3, 1), (0.2, 0), (0.0, 0)])
async def test_few_answers_at_half_time_are_worth_a_signal_and_enough_are_none(
    town: Town, share: float, told: int
) -> None:
    town.house = replace(town.house, settings=town.house.settings.model_copy(update={"risk_share": share}))
    await passed_on(town)
    await town.say("VP")
    await town.until("2023-12-04")
    assert await signals(town, "at_risk") == [], "half of the time has not passed"
    await town.until("2023-12-05", "16:00")
    assert await signals(town, "at_risk") == [{"answered": 1, "asked": 4}] * told
    await town.say("INV-A")
    assert await signals(town, "at_risk") == []


async def test_a_campaign_that_is_held_is_no_risk_of_its_own(town: Town) -> None:
    await passed_on(town)
    await town.until("2023-12-05", "16:00")
    assert len(await signals(town, "at_risk")) == 1
    await campaigns.hold(town.house, town.campaign, "Lan", "xem lại")
    assert await signals(town, "at_risk") == []


async def test_cases_that_nobody_takes_within_a_working_day_are_told_of_once_a_day(town: Town) -> None:
    await passed_on(town)
    await town.until("2023-12-12", "09:00")
    cases = await town.all(Case, Case.rung > 0)
    assert cases, "the silent were told of"
    assert await signals(town, "unclaimed") == []
    await town.until("2023-12-13", "09:00")
    assert await signals(town, "unclaimed") == [{"cases": len(cases)}]
    await notices.signalled(town.house, await notices.look(town.house))
    assert await signals(town, "unclaimed") == [], "once a day"
    for case in cases:
        await escalations.claim(town.house, case.delivery_id, "Lan")
    await town.until("2023-12-14", "09:00")
    assert await signals(town, "unclaimed") == []


async def test_the_unit_in_charge_is_told_by_mail_what_it_can_do(town: Town) -> None:
    await passed_on(town)
    await town.until("2023-12-13", "09:00")
    number = len(await town.all(Case, Case.rung > 0))
    for what in ("at_risk", "unclaimed"):
        assert await notices.tell_once(town.house, what, "8184")  # type: ignore[arg-type]
        assert not await notices.tell_once(town.house, what, "8184"), "once a day"  # type: ignore[arg-type]
    await town.work()
    risk, cases = town.postbox.to(address("QHXD"))[-2:]
    assert "có nguy cơ chậm" in str(risk["Subject"])
    assert f"{number} trường hợp chưa có người nhận xử lý" in text_of(cases)
    assert "phân công người nhận xử lý" in text_of(cases)
