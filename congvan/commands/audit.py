"""`congvan audit` and `congvan retention`: the log held against itself; what is kept no longer than the rules say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from congvan.commands import given
from congvan.commands.session import opened
from congvan.commands.show import as_json, place

if TYPE_CHECKING:
    from congvan.house import House

#: Findings that are listed before they are only counted; --json lists all.
_SHOWN = 50


async def audit(campaign: str = "", /, *, export: Path | None = None, seal: str = "", json: bool = False) -> int:
    """Kiểm tra nhật ký của một đợt: chuỗi băm, niêm phong, diễn lại đến trạng thái hiện tại.

    Parameters
    ----------
    campaign
        Mã của đợt; không ghi: mọi dòng trong sổ, bước tiếp theo của từng nơi nhận, nhật ký của các đợt đang chạy.
    export
        Tệp để xuất toàn bộ nhật ký, mỗi dòng một đối tượng JSON.
    seal
        Mã niêm phong đã ghi lại ở nơi khác (trên báo cáo, trong tệp xuất): phải còn trong sổ.
    json
        In kết quả dạng JSON.
    """
    from dataclasses import asdict

    from congvan.acts import audit as acts

    if export is not None:
        place(export, "--export")
    if not campaign:
        if export is not None or seal:
            raise given.refuse("CAMPAIGN", "--export và --seal cần mã của đợt", "ghi mã của đợt trước")
        return await _everything(json)
    async with opened() as house:
        verdict = await acts.audit(house, campaign, seal)
        lines = await _export(house, campaign, export) if export is not None else 0
    if json:
        as_json(asdict(verdict) | {"sound": not verdict.findings})
        return 1 if verdict.findings else 0
    for one in verdict.findings[:_SHOWN]:
        at = f", sự kiện {one.event}{f' ({one.kind})' if one.kind else ''}" if one.event else ""
        print(f"SAI LỆCH  {one.where}{at}: {one.problem}")
    if len(verdict.findings) > _SHOWN:
        print(f"… và {len(verdict.findings) - _SHOWN} sai lệch khác (--json: tất cả)")
    print(
        f"{verdict.campaign}: {verdict.events} sự kiện trong {verdict.streams} chuỗi, {verdict.seals} niêm phong, "
        f"{verdict.unsealed} sự kiện chưa niêm phong; {len(verdict.findings)} sai lệch."
    )
    if verdict.seal:
        print(f"Niêm phong cuối: {verdict.seal}")
    if export is not None:
        print(f"Đã xuất {lines} dòng ra {export}.")
    return 1 if verdict.findings else 0


async def _everything(json: bool) -> int:
    from dataclasses import asdict

    from congvan.acts import auditing

    async with opened() as house:
        found = await auditing.look_over(house)
    if json:
        as_json({"sound": not found, "findings": [asdict(one) for one in found]})
        return 1 if found else 0
    for one in found[:_SHOWN]:
        print(f"SAI LỆCH  {' '.join(part for part in (one.campaign, one.place) if part)}: {one.problem} ({one.kind})")
    if len(found) > _SHOWN:
        print(f"… và {len(found) - _SHOWN} sai lệch khác (--json: tất cả)")
    print(f"{len(found)} sai lệch.")
    return 1 if found else 0


async def _export(house: House, campaign: str, path: Path) -> int:
    import orjson

    from congvan.acts import audit as acts

    number = 0
    with path.open("wb") as file:
        async for line in acts.export(house, campaign):
            file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
            number += 1
    return number


async def retention(*, dry_run: bool = False, by: str | None = None, json: bool = False) -> None:
    """Xóa dữ liệu liên hệ và nội dung thư đã quá thời hạn giữ (config/retention.yaml); sổ và nhật ký giữ nguyên.

    Parameters
    ----------
    dry_run
        Chỉ đếm, không xóa.
    by
        Họ tên người thực hiện.
    json
        In kết quả dạng JSON.
    """
    from dataclasses import asdict

    from congvan.acts import retention as acts

    who = given.person(by)
    async with opened() as house:
        rule = acts.rules(house)
        found = await acts.purge(house, rule, who, dry_run=dry_run)
    if json:
        as_json({"dry_run": dry_run, "rules": rule.model_dump(), "purged": [asdict(one) for one in found]})
        return
    verb = "Sẽ xóa" if dry_run else "Đã xóa"
    for one in found:
        print(f"{verb}: {one.campaign or 'danh bạ'}: {one.contacts} dòng liên hệ, {one.mails} dòng nội dung thư")
    if not found:
        print("Không có gì quá thời hạn giữ.")
