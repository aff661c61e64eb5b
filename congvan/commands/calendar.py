"""`congvan deadline`: the last day of a term; `congvan calendar apply`: open terms under a new calendar."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from congvan.commands import given
from congvan.commands.headings import part
from congvan.commands.session import opened, settings
from congvan.commands.show import as_json, moment, note, table

if TYPE_CHECKING:
    from congvan.acts.calendars import Moved

_MOST_DAYS = 250


def deadline(
    *,
    from_: Annotated[str, Parameter(name="--from")],
    days: given.Whole,
    calendar: Literal["state", "enterprise", "both"] = "both",
) -> None:
    """Tính ngày hết hạn theo ngày làm việc; ngày bắt đầu không tính (Bộ luật Dân sự 2015 Điều 147).

    Parameters
    ----------
    from_
        Ngày ban hành: 2024-02-06 hoặc 06/02/2024.
    days
        Số ngày làm việc.
    calendar
        state: cơ quan nhà nước; enterprise: doanh nghiệp; both: đếm theo nhà nước, lùi đến ngày cả hai cùng làm.
    """
    from congvan.almanac import build, read_calendar_file

    start = given.day(from_, "--from")
    if not 0 <= days <= _MOST_DAYS:
        raise given.refuse("--days", f"{days} ngày làm việc", f"ghi một số từ 0 đến {_MOST_DAYS}")
    file = read_calendar_file(settings().config / "calendar.yaml")
    last = build(file).term(start, days, calendar)
    print(last.isoformat())
    _warn(last, file.official_until)


app = part("calendar", "Lịch làm việc: áp dụng lịch mới cho các thời hạn đang mở.")


@app.command
async def apply(*, by: str = "", dry_run: bool = False, json: bool = False) -> None:
    """Tính lại mọi thời hạn đang mở theo config/calendar.yaml; không thời hạn nào sớm hơn thời hạn đã báo.

    Parameters
    ----------
    by
        Họ tên người áp dụng; không cần với --dry-run.
    dry_run
        Chỉ liệt kê những thời hạn sẽ thay đổi.
    json
        In kết quả dạng JSON.
    """
    from congvan.acts import calendars
    from congvan.almanac import read_calendar_file

    who = "xem trước" if dry_run else given.person(by or None)
    async with opened() as house:
        file = read_calendar_file(house.settings.config / "calendar.yaml")
        done = await calendars.apply(house, file, who, dry_run=dry_run)
    if json:
        rows = [
            {"code": one.code, "from": one.old, "to": one.new, "provisional": one.provisional} for one in done.moved
        ]
        as_json({"changed": done.changed, "told": done.told, "deadlines": rows, "dry_run": dry_run})
        return
    if not done.changed:
        print("Lịch không đổi so với lần áp dụng trước.")
        return
    table(["Mã", "Nơi nhận", "Thời hạn cũ", "Thời hạn mới", "Ghi chú"], [_shown(one) for one in done.moved])
    moved = sum(not one.kept for one in done.moved)
    if dry_run:
        note(f"{moved} thời hạn sẽ lùi → congvan calendar apply --by TÊN")
    else:
        print(f"Đã lùi {moved} thời hạn, báo {done.told} nơi nhận.")


def _shown(one: Moved) -> list[object]:
    words = ["giữ nguyên: đã báo muộn hơn"] if one.kept else []
    words += ["tạm tính"] if one.provisional else []
    return [one.code, one.name, moment(one.old.isoformat()), moment(one.new.isoformat()), "; ".join(words)]


def _warn(last: date, official_until: int) -> None:
    if last.year > official_until:
        note(f"tạm tính: ngày nghỉ của năm {last.year} chưa được công bố (lịch chính thức đến hết {official_until})")
