"""`congvan letters` and `congvan letter`: what was drafted and issued, and by whom."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from congvan.commands import given
from congvan.commands.headings import part
from congvan.commands.session import opened
from congvan.commands.show import as_json, table
from congvan.commands.synopsis import said_of
from congvan.errors import ActRefused
from congvan.rules.labels import LETTER_STATES, letter_kind

if TYPE_CHECKING:
    from congvan.house import House
    from congvan.store.tables import Letter

app = part("letter", "Một văn bản: ban hành, xem trước, lấy dự thảo, gửi thử.")
_ELSEWHERE = {"papers": ("draft", "trial", "render"), "amending": ("recall", "replace", "correct", "add")}
for _module, _names in _ELSEWHERE.items():
    for _name in _names:
        app.command(f"congvan.commands.{_module}:{_name}", name=_name, help=said_of(f"letter {_name}"))


async def letters(campaign: str, /, *, json: bool = False) -> None:
    """Các văn bản của một đợt.

    Parameters
    ----------
    campaign
        Mã của đợt.
    json
        In dạng JSON.
    """
    from congvan.acts import letters as acts

    async with opened() as house:
        found = await acts.of_campaign(house, campaign)
    if json:
        as_json(found)
        return
    table(
        ["Mã", "Đơn vị", "Loại", "Tình trạng", "Số, ký hiệu", "Ngày", "Đang chờ"],
        [
            [
                one["id"], one["issuer"], letter_kind(one["kind"]),
                LETTER_STATES.get(one["state"], one["state"]), one["number"], one["date"], one["awaits"],
            ]
            for one in found
        ],
    )  # fmt: skip


@app.command
async def issue(
    letter: str,
    /,
    *,
    number: str,
    date: str,
    signed: Path | None = None,
    paper_scan: bool = False,
    accept_differences_by: str = "",
    by: str | None = None,
    json: bool = False,
) -> None:
    """Ban hành một văn bản đang chờ. Tệp đã ký được đối chiếu với dự thảo và được gửi nguyên vẹn.

    Parameters
    ----------
    letter
        Mã của văn bản, xem ở congvan letters.
    number
        Số văn bản.
    date
        Ngày ban hành: 2023-12-01 hoặc 01/12/2023.
    signed
        Tệp PDF đã ký.
    paper_scan
        Tệp là bản quét của bản giấy, không có chữ ký số.
    accept_differences_by
        Họ tên người đã xem và chấp nhận chỗ khác với dự thảo.
    by
        Họ tên văn thư.
    json
        In kết quả dạng JSON.
    """
    upload = Upload(number, date, signed, by, paper_scan=paper_scan, accepted_by=accept_differences_by)
    async with opened() as house:
        await issue_one(house, letter, upload, json=json)


@app.command
async def approve(letter: str, /, *, by: str, json: bool = False) -> None:
    """Duyệt nội dung người khác đã nhập để ban hành (CONGVAN_ISSUE_NEEDS_TWO).

    Parameters
    ----------
    letter
        Mã của văn bản, xem ở congvan letters.
    by
        Họ tên người duyệt, khác người đã nhập.
    json
        In kết quả dạng JSON.
    """
    from congvan.acts import clerks

    who = given.person(by)
    async with opened() as house:
        _say_issued(await clerks.approve(house, letter, who), json=json)


@dataclass(frozen=True, slots=True)
class Upload:
    """What was typed to issue a letter."""

    number: str
    date: str
    signed: Path | None
    by: str | None
    paper_scan: bool = False
    accepted_by: str = ""


async def issue_one(house: House, letter: str, upload: Upload, *, json: bool) -> None:
    """Issue a waiting letter and say what it became; raise ActRefused where it already bears another number.

    Where two persons are needed, what the first has entered waits for `congvan letter approve`.
    """
    from sqlalchemy.exc import IntegrityError

    from congvan.acts import clerks
    from congvan.acts import letters as acts

    issued_on = given.day(upload.date, "--date")
    today = await _today(house)
    if issued_on.isoformat() > today:
        raise given.refuse("--date", f"ngày {upload.date} còn ở phía trước", f"ghi ngày ban hành, không sau {today}")
    entered = acts.Issued(
        given.letter_number(upload.number, "--number"), issued_on, given.person(upload.by),
        given.pdf(upload.signed, "--signed"), upload.paper_scan, upload.accepted_by,
    )  # fmt: skip
    try:
        two = house.settings.issue_needs_two
        made = await (clerks.enter if two else acts.issue)(house, letter, entered)
    except IntegrityError as error:
        raise ActRefused(f"số {entered.number} đã có văn bản khác trong năm {issued_on.year} mang") from error
    if made is None:
        if json:
            as_json({"letter": letter, "state": "PENDING_ISSUE"})
        else:
            print(f"Đã ghi nhận; chờ người thứ hai duyệt → congvan letter approve {letter} --by HỌ_TÊN")
        return
    digits = int("".join(letter for letter in entered.number if letter.isdigit()))
    if (made.number, made.issued_on) != (digits, issued_on):
        raise ActRefused(f"văn bản này đã được ban hành: số {made.symbol} ngày {made.issued_on}")
    _say_issued(made, json=json)


def _say_issued(made: Letter, *, json: bool) -> None:
    assert made.issued_on is not None, "an issued letter has a date"
    said = {
        "letter": made.id, "state": made.state, "number": made.symbol, "date": made.issued_on.isoformat(),
        "sha256": made.sha256,
    }  # fmt: skip
    if json:
        as_json(said)
    else:
        print(f"Đã ban hành: số {made.symbol} ngày {made.issued_on:%d/%m/%Y}.")


async def _today(house: House) -> str:
    from congvan.rules.calendar import local

    return local(await house.clock.now()).date().isoformat()
