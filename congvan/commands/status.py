"""`congvan status`: how the campaigns stand."""

from __future__ import annotations

from typing import Any

from congvan.commands.session import opened
from congvan.commands.show import as_json, moment, note, table
from congvan.errors import NotFound
from congvan.rules.labels import CAMPAIGN_STATES, HOP_STATES, TOTALS


async def status(campaign: str | None = None, /, *, json: bool = False) -> None:
    """Tình hình các đợt triển khai.

    Parameters
    ----------
    campaign
        Mã của một đợt; để trống: tất cả.
    json
        In dạng JSON.
    """
    from congvan.acts import figures

    async with opened() as house:
        found = await figures.status(house, campaign)
    if campaign and not found["campaigns"]:
        raise NotFound(f"không có đợt «{campaign}» → xem: congvan status")
    if json:
        as_json(found)
        return
    if not found["campaigns"]:
        note("Chưa có đợt triển khai nào → congvan campaign launch PLAN.yaml")
    for one in found["campaigns"]:
        _show(one)


def _show(one: dict[str, Any]) -> None:
    state = CAMPAIGN_STATES.get(one["state"], one["state"])
    if one["held"]:
        # A hold keeps the mail back; only a pause stops the terms as well.
        state = "Tạm dừng, thời hạn ngừng tính" if one["paused"] else "Giữ thư lại, thời hạn vẫn tính"
    print(f"{one['code']}  {one['subject']}\n{state}")
    rows = [["Cả đợt", "", "", *_numbers(one["totals"])]]
    rows += [
        [
            hop["issuer"],
            HOP_STATES.get(hop["state"], hop["state"]),
            moment(hop["wake_at"], "%H:%M %d/%m"),
            *_numbers(hop["totals"]),
        ]
        for hop in one["hops"]
    ]
    table(["Đơn vị", "Tình trạng", "Kế tiếp", *TOTALS.values()], rows)


def _numbers(totals: dict[str, int]) -> list[str]:
    return [str(totals.get(key, "")) for key in TOTALS]
