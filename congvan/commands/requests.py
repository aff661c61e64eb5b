"""`congvan requests` and `congvan decide`: what recipients ask of a person, and what the person decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from congvan.commands import given
from congvan.commands.session import opened
from congvan.commands.show import as_json, moment, table
from congvan.errors import NotFound
from congvan.rules.labels import REQUESTS

if TYPE_CHECKING:
    from congvan.house import House


async def requests(campaign: str | None = None, /, *, json: bool = False) -> None:
    """Các đề nghị của nơi nhận đang chờ quyết định.

    Parameters
    ----------
    campaign
        Mã của đợt; để trống: mọi đợt.
    json
        In mỗi dòng một đối tượng JSON.
    """
    from congvan.acts import requests as acts

    async with opened() as house:
        found = await acts.waiting(house, campaign)
    if json:
        for one in found:
            as_json(one)
        return
    table(
        ["Mã đề nghị", "Nơi nhận", "Tổ chức", "Đề nghị", "Lúc", "Nội dung"],
        [
            [one["id"], one["delivery"], one["name"], REQUESTS[one["kind"]], moment(one["made_at"]),
             one["words"].get("reason") or one["words"].get("email") or one["words"].get("note", "")]
            for one in found
        ],
    )  # fmt: skip


async def decide(
    request: str,
    /,
    *,
    accept: bool = False,
    decline: bool = False,
    why: str = "",
    by: str | None = None,
    book: bool = False,
    readdress: bool = False,
    json: bool = False,
) -> None:
    """Quyết định một đề nghị: chấp thuận (miễn, hoặc đổi đầu mối) hay không; nơi nhận được báo bằng thư.

    Parameters
    ----------
    request
        Mã đề nghị, hoặc mã của nơi nhận có đúng một đề nghị đang chờ.
    accept
        Chấp thuận; hộp thư được báo không phải của đơn vị thì hết hiệu lực trong danh bạ.
    decline
        Không chấp thuận; cần ghi lý do.
    why
        Lý do.
    by
        Họ tên người quyết định.
    book
        Ghi hộp thư mới vào danh bạ.
    readdress
        Gửi lại văn bản đến hộp thư mới.
    json
        In kết quả dạng JSON.
    """
    from congvan.acts import deciding

    if accept == decline:
        raise given.refuse("--accept", "chưa rõ quyết định", "ghi --accept hoặc --decline")
    who = given.person(by)
    reason = given.words(why, "--why", "lý do") if decline else why
    async with opened() as house:
        key = await _find(house, request)
        verdict = deciding.Verdict(accept=accept, by=who, why=reason, book=book, readdress=readdress)
        await deciding.decide(house, key, verdict)
    if json:
        as_json({"request": key, "done": "accept" if accept else "decline"})
    else:
        print("Đã chấp thuận đề nghị." if accept else "Không chấp thuận; nơi nhận được báo bằng thư.")


async def _find(house: House, name: str) -> str:
    from congvan.acts import requests as acts

    found = [one["id"] for one in await acts.waiting(house) if name in (one["id"], one["delivery"])]
    if len(found) != 1:
        why = "có nhiều đề nghị" if found else "không có đề nghị nào"
        raise NotFound(f"«{name}»: {why} đang chờ → xem: congvan requests")
    return str(found[0])
