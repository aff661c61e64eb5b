"""`congvan number`: the register of numbers that the engine may give."""

from __future__ import annotations

from congvan.commands import given
from congvan.commands.headings import part
from congvan.commands.session import opened
from congvan.commands.show import as_json, table

app = part("number", "Số văn bản: dành dải số, cấp, hủy, xem sổ.")

_STATES = {"RESERVED": "Đã dành", "ALLOCATED": "Đã cấp", "ISSUED": "Đã ban hành", "VOIDED": "Đã hủy"}


@app.command
async def reserve(
    issuer: str, symbol: str, /, *, first: given.Whole, last: given.Whole, year: given.Whole, by: str
) -> None:
    """Dành một dải số trong sổ của cơ quan cho hệ thống cấp.

    Parameters
    ----------
    issuer
        Mã của cơ quan ban hành.
    symbol
        Phần ký hiệu sau dấu gạch chéo.
    first
        Số đầu.
    last
        Số cuối.
    year
        Năm.
    by
        Họ tên văn thư.
    """
    from congvan.acts import numbers, registry
    from congvan.registry.faults import meant

    series = numbers.Series(issuer, symbol, given.year(year, "--year"))
    block = given.number(first, "--first"), given.number(last, "--last")
    async with opened() as house:
        known = {one.code for one in (await registry.present(house)).organisations}
        if issuer not in known:
            raise given.refuse("ISSUER", f"không có tổ chức «{issuer}»", f"sửa mã{meant(issuer, known)}")
        await numbers.reserve(house, series, *block, given.person(by))
    print(f"Đã dành {last - first + 1} số.")


@app.command
async def allocate(letter: str, /, *, by: str) -> None:
    """Cấp số kế tiếp của dải đã dành cho một văn bản đang chờ ban hành.

    Parameters
    ----------
    letter
        Mã của văn bản, xem ở congvan letters.
    by
        Họ tên văn thư.
    """
    from congvan.acts import clerks

    async with opened() as house:
        print(await clerks.allocate(house, letter, given.person(by)))


@app.command
async def void(
    issuer: str, symbol: str, number: given.Whole, /, *, year: given.Whole, why: str, by: str
) -> None:
    """Hủy một số: số ấy ở lại trong sổ kèm lý do và không cấp lại.

    Parameters
    ----------
    issuer
        Mã của cơ quan ban hành.
    symbol
        Phần ký hiệu sau dấu gạch chéo.
    number
        Số.
    year
        Năm.
    why
        Lý do.
    by
        Họ tên người hủy.
    """
    from congvan.acts import numbers

    series = numbers.Series(issuer, symbol, given.year(year, "--year"))
    given.number(number, "NUMBER")
    async with opened() as house:
        await numbers.void(house, series, number, given.words(why, "--why", "lý do"), given.person(by))
    print("Đã hủy.")


@app.command
async def register(issuer: str, /, *, year: given.Whole, json: bool = False) -> None:
    """Sổ các số do hệ thống cấp trong một năm.

    Parameters
    ----------
    issuer
        Mã của cơ quan ban hành.
    year
        Năm; số âm là sổ của các bản minh họa.
    json
        In dạng JSON.
    """
    from congvan.acts import numbers

    # Below zero: the book of illustrations (`numbers.Series`).
    given.year(abs(year), "--year")
    async with opened() as house:
        found = await numbers.register(house, issuer, year)
    if json:
        as_json(found)
        return
    table(
        ["Số, ký hiệu", "Tình trạng", "Trích yếu", "Lý do hủy"],
        [[one["code"], _STATES[one["state"]], one["subject"], one["why"]] for one in found],
    )
