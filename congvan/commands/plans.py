"""`congvan lint`: what of a plan is against the rules of form, before anybody signs it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from congvan.commands.session import settings
from congvan.commands.show import as_json


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
    from congvan.reading import read_cascade, read_plan

    read, _ = read_plan(plan)
    remarks = look(read, read_cascade(settings().cascade_file), plan.read_text("utf-8-sig"))
    if json:
        as_json({"remarks": [asdict(one) for one in remarks]})
    else:
        for one in remarks:
            print(one)
        print(f"{plan}: {len(errors(remarks))} lỗi, {len(remarks) - len(errors(remarks))} lưu ý.")
    return 2 if errors(remarks) else 0
