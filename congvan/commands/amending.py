"""`congvan letter recall`, `replace` and `correct`: an issued letter is taken back, replaced or corrected; and `add`:
the office's own words in a report that is not issued yet."""

from __future__ import annotations

from pathlib import Path

from congvan.commands import given
from congvan.commands.session import opened
from congvan.commands.show import as_json


async def recall(letter: str, /, *, why: str, by: str, json: bool = False) -> None:
    """Thu hồi một văn bản đã ban hành từ mọi nơi đã nhận (NĐ 30/2020 Điều 18); họ được đề nghị hủy và báo lại.

    Parameters
    ----------
    letter
        Mã của văn bản, xem ở congvan letters.
    why
        Lý do.
    by
        Họ tên người quyết định.
    json
        In kết quả dạng JSON.
    """
    from congvan.acts import recalls

    who, reason = given.person(by), given.words(why, "--why", "lý do")
    async with opened() as house:
        asked = await recalls.recall(house, letter, who, reason)
    if json:
        as_json({"letter": letter, "asked": asked})
    else:
        print(f"Đã thu hồi; {asked} nơi nhận được đề nghị hủy văn bản → congvan letter replace {letter} PLAN.yaml")


async def replace(letter: str, plan: Path, /, *, why: str, by: str, json: bool = False) -> None:
    """Soạn văn bản thay thế và trình ban hành; văn bản mới viện dẫn văn bản cũ.

    Parameters
    ----------
    letter
        Mã của văn bản cũ, xem ở congvan letters.
    plan
        Tệp kế hoạch .yaml có lời văn mới (mục letter).
    why
        Lý do.
    by
        Họ tên người quyết định.
    json
        In kết quả dạng JSON.
    """
    from congvan.acts import amending
    from congvan.reading import lines_of, read_plan

    who, reason = given.person(by), given.words(why, "--why", "lý do")
    words = read_plan(plan)[0].letter
    async with opened() as house:
        made = await amending.replace(house, letter, words, who, reason, source=str(plan), lines=lines_of(plan))
    _submitted(made, json=json)


async def correct(
    letter: str, /, *, wrong: list[str], right: list[str], by: str, why: str = "", json: bool = False
) -> None:
    """Soạn công văn đính chính và trình ban hành; thời hạn và trả lời không thay đổi.

    Parameters
    ----------
    letter
        Mã của văn bản, xem ở congvan letters.
    wrong
        Chỗ đã in; ghi nhiều lần cho nhiều chỗ.
    right
        Chỗ đính chính, theo thứ tự của --wrong.
    by
        Họ tên người quyết định.
    why
        Lý do.
    json
        In kết quả dạng JSON.
    """
    from congvan.acts import amending

    who = given.person(by)
    if len(wrong) != len(right):
        raise given.refuse("--right", "số chỗ đính chính khác số chỗ đã in", "mỗi --wrong cần một --right")
    slips = [amending.Slip(*pair) for pair in zip(wrong, right, strict=True)]
    async with opened() as house:
        made = await amending.correct(house, letter, slips, who, why)
    _submitted(made, json=json)


async def add(
    letter: str,
    /,
    *,
    finding: list[str] | None = None,
    proposal: list[str] | None = None,
    by: str,
    json: bool = False,
) -> None:
    """Ghi khó khăn, vướng mắc hoặc đề xuất, kiến nghị vào báo cáo đang chờ ban hành, thay cho những ý cùng loại đã ghi.

    Parameters
    ----------
    letter
        Mã của báo cáo, xem ở congvan letters.
    finding
        Một khó khăn, vướng mắc; ghi nhiều lần cho nhiều ý.
    proposal
        Một đề xuất, kiến nghị; ghi nhiều lần cho nhiều ý.
    by
        Họ tên người ghi.
    json
        In kết quả dạng JSON.
    """
    from congvan.acts import reporting

    who = given.person(by)
    if finding is None and proposal is None:
        raise given.refuse("--finding", "chưa ghi ý nào", "ghi --finding hoặc --proposal")
    async with opened() as house:
        await reporting.add(house, letter, who, findings=finding, proposals=proposal)
    if json:
        as_json({"letter": letter})
    else:
        print(f"Đã ghi vào báo cáo → congvan letter draft {letter} --out FILE.pdf")


def _submitted(letter: str, *, json: bool) -> None:
    if json:
        as_json({"letter": letter})
    else:
        print(f"Đã trình ban hành: {letter} → congvan letter draft {letter} --out FILE.pdf")
