"""`congvan board`: whether Prefect shows what the database says, and how to have it shown again."""

from __future__ import annotations

import os

from congvan.commands.headings import part
from congvan.commands.session import Unreachable, opened
from congvan.commands.show import as_json, table
from congvan.errors import NothingInstalled, first_line

app = part("board", "Bảng theo dõi trong Prefect: đối chiếu, dựng lại.")


@app.command
async def check(*, json: bool = False) -> int:
    """So bảng theo dõi trong Prefect với cơ sở dữ liệu; kết thúc bằng 1 nếu có khác biệt.

    Parameters
    ----------
    json
        In {"compared": …, "behind": …, "in_tables": […], "differences": […]}.
    """
    import httpx

    from congvan.board_check import compare

    api = os.environ.get("PREFECT_API_URL", "").rstrip("/")
    if not api:
        raise NothingInstalled("PREFECT_API_URL chưa đặt → xem: congvan doctor")
    async with opened() as house:
        try:
            found = await compare(house, api, os.environ.get("PREFECT_API_AUTH_STRING", ""))
        except httpx.HTTPError as error:
            raise Unreachable(f"Prefect không trả lời ({first_line(error)}) → congvan doctor") from error
    if json:
        as_json(
            {"compared": found.compared, "behind": found.behind,
             "in_tables": found.in_tables, "differences": [one.as_dict() for one in found.differences]}
        )  # fmt: skip
    else:
        print(f"Đã so {found.compared} nơi nhận; {found.behind} thay đổi đang được đăng.")
        for code in found.in_tables:
            print(f"{code}: đợt lớn, Prefect chỉ có bảng tổng hợp (CONGVAN_BOARD_RUNS); không so từng nơi nhận.")
        table(
            ["Đợt", "Nơi nhận", "Cần thấy", "Đang thấy"],
            [[one.campaign, one.recipient, one.should, one.shown or "không có"] for one in found.differences],
        )
    return 1 if found.differences else 0


@app.command
async def rebuild(campaign: str | None = None, /, *, json: bool = False) -> None:
    """Đăng lại toàn bộ bảng theo dõi từ cơ sở dữ liệu.

    Parameters
    ----------
    campaign
        Mã của đợt; để trống: mọi đợt.
    json
        In {"recipients": …}.
    """
    from congvan.acts import board

    async with opened() as house:
        number = await board.repaint(house, campaign)
    if json:
        as_json({"recipients": number})
    else:
        print(f"{number} nơi nhận sẽ được đăng lại; cần có tiến trình «python -m flows» đang chạy.")
