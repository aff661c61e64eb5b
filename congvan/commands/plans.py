"""`congvan lint` and `congvan audience`: a plan looked at before anybody signs it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from congvan.commands.session import opened, settings
from congvan.commands.show import as_json, note, table

_ROLES = {
    "recipient": "nhận", "carrier": "nhận để chuyển tiếp", "exempt": "miễn", "root": "gốc", "": "không",
}  # fmt: skip


def lint(plan: Path, /, *, json: bool = False) -> int:
    """Soát kế hoạch theo NĐ 30/2020/NĐ-CP; có lỗi thì kết thúc bằng 2.

    Parameters
    ----------
    plan
        Tệp kế hoạch .yaml.
    json
        In {"remarks": […]}.
    """
    from congvan.letters.lint import errors
    from congvan.letters.lint import lint as look
    from congvan.policy_check import check_policies
    from congvan.reading import lines_of, read_cascade, read_plan

    read, _ = read_plan(plan)
    cascade = read_cascade(settings().cascade_file)
    remarks = look(read, cascade, plan.read_text("utf-8-sig"))
    faults = check_policies(read, cascade, file=str(plan), lines=lines_of(plan))
    wrong = len(errors(remarks)) + len(faults)
    if json:
        as_json({"remarks": [asdict(one) for one in remarks], "faults": [asdict(one) for one in faults]})
    else:
        for one in (*faults, *remarks):
            print(one)
        print(f"{plan}: {wrong} lỗi, {len(remarks) - len(errors(remarks))} lưu ý.")
    return 2 if wrong else 0


async def audience(plan: Path, /, *, only: str = "", json: bool = False) -> None:
    """Xem trước kế hoạch chọn ai, vì sao; không chọn ai, vì sao. Không khởi động gì.

    Parameters
    ----------
    plan
        Tệp kế hoạch .yaml.
    only
        in: chỉ những nơi sẽ nhận; out: chỉ những nơi không nhận.
    json
        In mỗi dòng một đối tượng JSON.
    """
    from congvan.acts import registry
    from congvan.commands.given import refuse
    from congvan.reading import read_cascade, read_plan
    from congvan.rules.audience import preview
    from congvan.rules.calendar import local

    if only not in ("", "in", "out"):
        raise refuse("--only", f"«{only}» không có trong danh sách", "ghi in hoặc out")
    read, _ = read_plan(plan)
    async with opened() as house:
        cascade = read_cascade(house.settings.cascade_file)
        today = local(await house.clock.now()).date()
        looks = preview(await registry.present(house), cascade, read, today)
    shown = [look for look in looks if not only or look.reached == (only == "in")]
    if json:
        for look in shown:
            one = look.organisation
            as_json(
                {
                    "code": one.code, "name": one.name, "level": one.level, "parks": one.parks, "role": look.role,
                    "reached": look.reached, "via": look.via, "settles": look.settles, "why": look.why,
                    "mailbox": look.mailbox,
                }
            )  # fmt: skip
        return
    table(
        ["Mã", "Tổ chức", "Cấp", "Khu", "Nhận", "Qua", "Vì sao"],
        [
            [look.organisation.code, look.organisation.name,
             cascade.levels.get(look.organisation.level, look.organisation.level),
             ", ".join(look.organisation.parks), _ROLES[look.role], ", ".join(look.via),
             look.why + ("" if look.mailbox or not look.reached else "; KHÔNG CÓ HỘP THƯ")]
            for look in shown
        ],
    )  # fmt: skip
    reached = sum(look.reached for look in looks)
    note(f"{reached} nơi nhận, {len(looks) - reached} nơi không nhận.")
