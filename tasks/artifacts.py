"""Tables, progress bars and summaries on the pages of hops and campaigns. No address, no person."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import UUID

import orjson
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import ArtifactCreate

from congvan.rules.calendar import local

#: Rows of a table on one page; the portal and the XLSX hold all of them.
MOST_ROWS = 500


async def hop(client: PrefectClient, run_id: str, issuer: str, found: dict[str, Any], portal: str) -> None:
    """What a hop's page says: how many have settled, who stands where, and where to act."""
    key = f"hop-{slug(found['campaign'])}-{slug(issuer)}"
    rows = [
        {
            "Mã": one["recipient"], "Đơn vị": one["name"], "Trạng thái": one["state"],
            "Thời hạn": f"{local(one['due_at']):%d/%m/%Y %H:%M}" if one["due_at"] else "", "Đã nhắc": one["reminders"],
        }
        for one in found["recipients"][:MOST_ROWS]
    ]  # fmt: skip
    await _put(client, run_id, f"{key}-table", "table", orjson.dumps(rows).decode(), "Các đơn vị nhận")
    await _progress(client, run_id, key, found["settled"], found["total"])
    lines = "\n".join(f"| {name} | {number} |" for name, number in sorted(found["totals"].items()))
    page = f"{portal}/office/c/{quote(found['campaign'])}/deliveries?issuer={quote(issuer)}"
    text = f"## {found['name']}\n\n| | |\n|---|---:|\n{lines}\n\n[Trang cán bộ]({page})\n"
    await _put(client, run_id, f"{key}-summary", "markdown", text, "Tóm tắt")


async def campaign(client: PrefectClient, run_id: str, status: dict[str, Any], portal: str) -> None:
    """What a campaign's page says: the same, hop by hop."""
    key = f"campaign-{slug(status['code'])}"
    names = sorted({name for one in status["hops"] for name in one["totals"]})
    rows = [
        {"Đơn vị chuyển": one["issuer"], "Trạng thái": one["state"]} | {n: one["totals"].get(n, 0) for n in names}
        for one in status["hops"]
    ]
    await _put(client, run_id, f"{key}-table", "table", orjson.dumps(rows).decode(), "Các cấp chuyển tiếp")
    totals = status["totals"]
    await _progress(client, run_id, key, totals.get("settled", 0), totals.get("total", 0))
    lines = "\n".join(f"| {name} | {number} |" for name, number in sorted(totals.items()))
    page = f"{portal}/office/c/{quote(status['code'])}"
    text = f"## {status['subject']}\n\n| | |\n|---|---:|\n{lines}\n\n[Trang cán bộ]({page})\n"
    await _put(client, run_id, f"{key}-summary", "markdown", text, "Tóm tắt")


def slug(code: str) -> str:
    """A code as an artifact's key may have it: lower case letters, digits and dashes."""
    return "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in code.lower())


async def _progress(client: PrefectClient, run_id: str, key: str, done: int, total: int) -> None:
    share = round(100 * done / total, 1) if total else 100.0
    await _put(client, run_id, f"{key}-progress", "progress", share, f"Đã xong {done}/{total}")


async def _put(
    client: PrefectClient, run_id: str, key: str, kind: str, data: str | float, description: str
) -> None:
    await client.create_artifact(
        ArtifactCreate(key=key, type=kind, data=data, description=description, flow_run_id=UUID(run_id))
    )
