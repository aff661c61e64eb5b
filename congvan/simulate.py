"""`congvan simulate`: the whole protocol in virtual time with faults, checked after every step."""

from __future__ import annotations

import sys
from random import Random

import orjson

from congvan.simulation.run import Verdict, simulate
from congvan.simulation.shrinking import shrink


def main(seed: int, tenants: int, days: int, json_: bool = False) -> int:
    """Play one seed; 0 when every invariant held, 1 when one broke. tenants, days: the size of the world."""
    verdict = simulate(seed, tenants, days)
    needed = shrink(verdict, days) if verdict.broken else []
    if json_:
        said = verdict.as_dict() | {"needed": [list(fault) for fault in needed]}
        print(orjson.dumps(said, option=orjson.OPT_INDENT_2).decode())
    else:
        _say(verdict, days, needed)
    return 1 if verdict.broken else 0


def draw_size(seed: int) -> int:
    """How many tenants a seed has where nobody says: 5 to 60, one seed in fifty 600."""
    chance = Random(f"{seed}/size")
    return 600 if chance.random() < 0.02 else chance.randint(5, 60)


def _say(verdict: Verdict, days: int, needed: list[tuple[str, int]]) -> None:
    print(
        f"Hạt giống {verdict.seed}: {verdict.tenants} doanh nghiệp, {verdict.days} ngày, {verdict.steps} bước, "
        f"{verdict.checks} phép kiểm tra."
    )
    for title, counts in (("Lỗi đã xảy ra", verdict.faults), ("Diễn biến", verdict.counts), ("Kết cục", verdict.ends)):
        print(f"{title}: " + (", ".join(f"{name} {number}" for name, number in counts.items()) or "không"))
    print(f"SHA-256 của nhật ký: {verdict.sha256}")
    if not verdict.broken:
        print("Mọi bất biến được giữ.")
        return
    print("\n".join(["", *verdict.history]), file=sys.stderr)
    print(f"\nBẤT BIẾN BỊ PHÁ: {verdict.broken}", file=sys.stderr)
    if needed:
        print("Chỉ cần các lỗi: " + ", ".join(f"{kind} #{number}" for kind, number in needed), file=sys.stderr)
    print(
        f"Diễn lại: congvan simulate --seed {verdict.seed} --tenants {verdict.tenants} --days {days}", file=sys.stderr
    )
