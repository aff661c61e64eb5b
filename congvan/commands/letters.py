"""`congvan letters` and `congvan letter`: what was drafted and issued, and a look before anything leaves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cyclopts import App

from congvan.commands import given
from congvan.commands.session import opened
from congvan.commands.show import LETTER_STATES, as_json, place, save, table
from congvan.errors import ActRefused

if TYPE_CHECKING:
    from congvan.house import House

app = App(name="letter", help="Một văn bản: ban hành, xem trước.")


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
                one["id"], one["issuer"], one["kind"], LETTER_STATES.get(one["state"], one["state"]), one["number"],
                one["date"], one["awaits"],
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
    by: str | None = None,
    json: bool = False,
) -> None:
    """Ban hành một văn bản đang chờ.

    Parameters
    ----------
    letter
        Mã của văn bản, xem ở congvan letters.
    number
        Số văn bản.
    date
        Ngày ban hành.
    signed
        Tệp PDF đã ký.
    by
        Họ tên văn thư.
    json
        In kết quả dạng JSON.
    """
    async with opened() as house:
        await issue_one(house, letter, number, date, signed, by, json=json)


async def issue_one(
    house: House, letter: str, number: str, date: str, signed: Path | None, by: str | None, *, json: bool
) -> None:
    """Issue a waiting letter and say what it became; raise ActRefused where it already bears another number."""
    from sqlalchemy.exc import IntegrityError

    from congvan.acts import letters as acts

    issued_on = given.day(date, "--date")
    today = await _today(house)
    if issued_on.isoformat() > today:
        raise given.refuse("--date", f"ngày {date} còn ở phía trước", f"ghi ngày ban hành, không sau {today}")
    entered = acts.Issued(
        given.letter_number(number, "--number"), issued_on, given.person(by), given.pdf(signed, "--signed")
    )
    try:
        made = await acts.issue(house, letter, entered)
    except IntegrityError as error:
        raise ActRefused(f"số {entered.number} đã có văn bản khác trong năm {issued_on.year} mang") from error
    digits = int("".join(letter for letter in entered.number if letter.isdigit()))
    if (made.number, made.issued_on) != (digits, issued_on):
        raise ActRefused(f"văn bản này đã được ban hành: số {made.symbol} ngày {made.issued_on}")
    said = {
        "letter": made.id, "state": made.state, "number": made.symbol, "date": issued_on.isoformat(),
        "sha256": made.sha256,
    }  # fmt: skip
    if json:
        as_json(said)
    else:
        print(f"Đã ban hành: số {made.symbol} ngày {issued_on:%d/%m/%Y}.")


async def _today(house: House) -> str:
    from congvan.rules.calendar import local

    return local(await house.clock.now()).date().isoformat()


@app.command
async def render(
    plan: Path,
    /,
    *,
    issuer: str,
    out: Path,
    mode: Literal["live", "exercise", "demo"] = "live",
) -> None:
    """Xem trước văn bản của một đơn vị theo kế hoạch; không gửi, không ghi gì vào cơ sở dữ liệu.

    Parameters
    ----------
    plan
        Tệp kế hoạch .yaml.
    issuer
        Mã của đơn vị ban hành hoặc chuyển tiếp.
    out
        Tệp .pdf hoặc .html sẽ ghi.
    mode
        exercise, demo: in dòng "BẢN MINH HỌA".
    """
    from congvan.commands import preview

    kind = out.suffix.lower()
    if kind not in (".pdf", ".html"):
        raise given.refuse("--out", f"không ghi được «{out.name}»", "ghi tên tệp có đuôi .pdf hoặc .html", str(out))
    place(out)
    async with opened() as house:
        sheet = await preview.sheet(house, plan, issuer, illustration=mode != "live")
        rendered = house.press.render(sheet)
    save(out, rendered.pdf if kind == ".pdf" else preview.page(rendered).encode())
