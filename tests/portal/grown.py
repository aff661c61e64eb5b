"""The small campaign grown to any size: copies of its tenants' rows, spread over hops, parks, states and hours."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from sqlalchemy import insert, select

from congvan.house import House
from congvan.rules.names import fold
from congvan.store.tables import Delivery, Hop, ParkRow

_NAMES = ("Cơ khí", "Điện tử", "Bao bì", "Hóa chất", "Dệt may", "Thực phẩm", "Nội thất", "Kho vận")
_STATES = (("ACKNOWLEDGED", 60), ("SENT", 20), ("DELIVERED", 8), ("UNDELIVERABLE", 5), ("REJECTED", 3), ("EXEMPT", 4))


async def grow(house: House, total: int, *, hops: int = 2, seed: int = 3) -> None:
    """Add tenants until the campaign has `total` deliveries, under `hops` of its investors or copies of them."""
    rng = random.Random(seed)
    now = await house.clock.now()
    async with house.store.act() as ledger:
        model: Delivery = await ledger.first(select(Delivery).where(Delivery.level == "tenant").order_by(Delivery.code))
        have = await ledger.count(select(Delivery.id))
        issuers: list[Hop] = await ledger.all(select(Hop).where(Hop.level == "investor"))
        made = [hop.id for hop in issuers] + await _more_hops(house, ledger, issuers[0], hops - len(issuers))
        parks = [row.code for row in await ledger.all(select(ParkRow))]
        common = {
            column.name: getattr(model, column.name)
            for column in Delivery.__table__.columns  # type: ignore[attr-defined]
        }
        names, weights = zip(*_STATES, strict=True)
        rows: list[dict[str, Any]] = []
        for number in range(have, total):
            state = rng.choices(names, weights)[0]
            code, name = f"DN-{number:05}", f"Công ty TNHH {rng.choice(_NAMES)} {number}"
            answered = state == "ACKNOWLEDGED"
            # An investor has a park or two, and its letter prints one deadline.
            hop = rng.randrange(len(made))
            rows.append(
                common
                | {
                    "id": f"{number:08x}".rjust(32, "f"), "code": f"8184-{code}", "recipient": code, "name": name,
                    "folded": fold(f"{name} {code}"), "hop_id": made[hop], "park": parks[hop % len(parks)],
                    "state": state, "reason": "không thuộc phạm vi" if state == "REJECTED" else None,
                    "due_at": now + timedelta(days=4 + hop % 3), "address": f"{code.lower()}@dn.example",
                    "confirmed_at": now + timedelta(minutes=rng.randrange(9_000)) if answered else None,
                    "settled_at": now if answered else None, "run_id": None, "child_hop_id": None,
                }
            )  # fmt: skip
        for start in range(0, len(rows), 2_000):
            await ledger.session.execute(insert(Delivery), rows[start : start + 2_000])


async def _more_hops(house: House, ledger: Any, model: Hop, number: int) -> list[str]:
    await house.clock.now()
    common = {column.name: getattr(model, column.name) for column in Hop.__table__.columns}  # type: ignore[attr-defined]
    rows = [
        common
        | {
            "id": f"{n:08x}".rjust(32, "e"), "issuer": f"CDT-{n:03}", "issuer_name": f"Chủ đầu tư số {n}",
            "letter_id": None, "run_id": None, "page_id": None, "ordinal": 100 + n,
        }
        for n in range(max(number, 0))
    ]  # fmt: skip
    if rows:
        await ledger.session.execute(insert(Hop), rows)
    return [str(row["id"]) for row in rows]
