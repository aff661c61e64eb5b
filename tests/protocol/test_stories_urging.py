"""Công văn đôn đốc: whom it names, to whom it goes, and when a draft of one is not wanted any more."""

from __future__ import annotations

from pathlib import Path

import pytest

from congvan.acts import amending, clerks, escalations, extending, numbers, recalls, signed_files
from congvan.errors import ActRefused
from congvan.rules.protocol import Event
from congvan.rules.records import Urgency
from congvan.store.tables import Letter
from tests.conftest import at, text_of
from tests.protocol.test_stories_changes import NEW_WORDS, board_letter
from tests.protocol.test_stories_ladder import BY, issue, live, names, urges
from tests.protocol.world import Town, address, to


async def more_time(town: Town, code: str) -> None:
    """This one may answer until 25/12."""
    row = await town.delivery(code)
    await extending.extend(town.house, row.id, at("2023-12-25", "17:00"), BY, "bão số 5")


def listed(letter: Letter) -> list[str]:
    """Whom its appendix names."""
    return [row[1] for row in letter.sheet["appendices"][0]["rows"]]


async def test_a_draft_that_names_who_has_more_time_is_not_issued_and_the_next_one_leaves_him_out(
    town: Town, tmp_path: Path
) -> None:
    await live(town, tmp_path)
    await town.until("2023-12-12", "09:00")
    await more_time(town, "T-OUT")
    (draft,) = await urges(town)
    with pytest.raises(ActRefused, match=r"nêu Tổ chức T-OUT .* thời hạn đã thay đổi; hệ thống dự thảo lại"):
        await issue(town, draft, "2600")
    await town.until("2023-12-14", "08:00")
    old, new = await urges(town)
    assert (old.state, new.state) == ("CANCELLED", "PENDING_ISSUE")
    assert "Tổ chức T-OUT" in listed(old)
    assert "Tổ chức T-OUT" not in listed(new)
    await issue(town, new, "2601")
    assert [line.split()[2] for line in await town.diary("urge")] == ["INV-A", "INV-B", "VP"]


async def test_an_overtaken_draft_gets_no_number_and_the_one_it_has_is_voided_with_it(
    town: Town, tmp_path: Path
) -> None:
    await live(town, tmp_path, audience=to("T-OUT"))
    await numbers.reserve(town.house, numbers.Series("BQL", "BQL-QHXD", 2023), 3000, 3009, "Lan")
    await town.until("2023-12-12", "09:00")
    (draft,) = await urges(town)
    assert await clerks.allocate(town.house, draft.id, "Lan") == "3000/BQL-QHXD"
    town.clock.set(at("2023-12-15", "17:00"))
    with pytest.raises(ActRefused, match="hạn chót in trong công văn đôn đốc này"):
        await clerks.allocate(town.house, draft.id, "Lan")
    await town.until("2023-12-18", "08:00")
    _, new = await urges(town)
    assert await clerks.allocate(town.house, new.id, "Lan") == "3001/BQL-QHXD"
    states = {one["code"]: one["state"] for one in await numbers.register(town.house, "BQL", 2023)}
    assert (states["3000/BQL-QHXD"], states["3001/BQL-QHXD"]) == ("VOIDED", "ALLOCATED")


async def test_a_decision_in_the_moment_of_the_issue_keeps_the_letter_from_him(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await live(town, tmp_path)
    await town.until("2023-12-12", "09:00")
    (draft,) = await urges(town)
    checked = signed_files.checked

    async def meanwhile(*given: object) -> object:
        await escalations.decide(town.house, (await town.delivery("T-OUT")).id, BY, "gửi giấy")
        return await checked(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(signed_files, "checked", meanwhile)
    await issue(town, draft, "2600")
    assert [line.split()[2] for line in await town.diary("urge")] == ["INV-A", "INV-B", "VP"]


async def test_a_draft_is_dropped_and_nobody_is_asked_for_it_once_the_last_one_has_answered(
    town: Town, tmp_path: Path
) -> None:
    await live(town, tmp_path, audience=to("T-OUT"))
    await town.until("2023-12-13", "09:00")
    await town.say("T-OUT")
    (draft,) = await urges(town)
    with pytest.raises(ActRefused, match="không còn đơn vị nào"):
        await issue(town, draft, "2600")
    await town.until("2023-12-22", "09:00")
    (draft,) = await urges(town)
    assert draft.state == "CANCELLED"
    assert await town.diary("issue_wanted") == []


async def test_a_draft_is_dropped_once_the_letter_it_urges_was_recalled(town: Town, tmp_path: Path) -> None:
    await live(town, tmp_path, audience=to("T-OUT"))
    await town.until("2023-12-12", "09:00")
    await recalls.recall(town.house, (await board_letter(town)).id, BY, "sai căn cứ")
    await town.until("2023-12-22", "09:00")
    assert [one.state for one in await urges(town)] == ["CANCELLED"]
    assert await town.diary("issue_wanted") == []


async def test_nobody_is_urged_to_a_letter_that_was_replaced(town: Town, tmp_path: Path) -> None:
    await live(town, tmp_path, audience=to("T-OUT"))
    await town.until("2023-12-12", "09:00")
    (draft,) = await urges(town)
    new = await amending.replace(town.house, (await board_letter(town)).id, NEW_WORDS, BY, "sai")
    await town.until("2023-12-13", "09:00")
    await issue(town, await town.one(Letter, Letter.id == new), "2601")
    with pytest.raises(ActRefused, match="không còn đơn vị nào"):
        await issue(town, draft, "2602")
    await town.until("2023-12-15", "09:00")
    assert [one.state for one in await urges(town)] == ["CANCELLED"]
    assert await town.diary("urge") == []


async def test_a_digest_encloses_no_draft_that_nobody_needs(town: Town, tmp_path: Path) -> None:
    await live(town, tmp_path, audience=to("T-OUT", "VP"))
    await town.until("2023-12-12", "09:00")
    await town.say("T-OUT")
    await town.say("VP", Event.REJECTED, reason="Không thuộc phạm vi")
    await town.until("2023-12-13", "08:00")
    assert (await town.diary("digest"))[-1] == "13/12 08:00 QHXD digest"
    assert names(town.postbox.to(address("QHXD"))[-1]) == ["tong-hop-2023-12-13.xlsx"]


async def test_who_falls_silent_again_after_the_time_he_was_given_is_named_in_another_draft(
    town: Town, tmp_path: Path
) -> None:
    await live(town, tmp_path, audience=to("T-OUT", "VP"))
    await town.until("2023-12-12", "09:00")
    await more_time(town, "T-OUT")
    await more_time(town, "VP")
    await town.until("2023-12-31")
    assert [one.state for one in await urges(town)] == ["CANCELLED", "PENDING_ISSUE"]
    assert "Tổ chức VP" in listed((await urges(town))[1]), "silent once more"


async def test_the_mail_calls_the_term_of_who_had_more_time_no_first_one(outside: Town) -> None:
    await outside.until("2023-12-06", "10:00")
    row = await outside.delivery("T-OUT")
    await extending.extend(outside.house, row.id, at("2023-12-20", "17:00"), BY, "bão số 5")
    await outside.until("2023-12-22", "09:00")
    (mail,) = [one for one in outside.postbox.to(address("T-OUT")) if "Đôn đốc" in str(one["Subject"])]
    assert " Thời hạn: trước 17 giờ 00 ngày 20/12/2023" in text_of(mail)
    assert "ban đầu" not in text_of(mail)


async def test_an_urgent_report_is_asked_for_once_in_the_moment_in_which_it_is_drafted(town: Town) -> None:
    await town.launch(urgency=Urgency.URGENT, audience=to("T-OUT"))
    await town.work()
    await town.say("BQL")
    await town.until("2023-12-31")
    asked = await town.diary("issue_wanted")
    first = asked[0][:11]
    assert [line for line in asked if line.startswith(first)] == [f"{first} VP issue_wanted"]
