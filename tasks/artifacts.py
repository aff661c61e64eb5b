"""Tables, progress bars and summaries on the pages of hops and campaigns. No address, no person."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import orjson
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import ArtifactCreate
from prefect.exceptions import PrefectHTTPStatusError

from congvan.links import office_url
from congvan.rules.calendar import local
from congvan.rules.labels import DELIVERY_STATES, HOP_STATES, TOTALS

#: Rows of a table on one page; the portal and the XLSX hold all of them.
MOST_ROWS = 500
_COUNTED = TOTALS | DELIVERY_STATES


class Artifacts:
    """Three on each page, renewed in place: Prefect would keep every version that is made anew, on the page too."""

    def __init__(self, client: PrefectClient, portal: str) -> None:
        self._client, self._portal = client, portal
        #: (run, key) → the artifact that stands there.
        self._known: dict[tuple[str, str], UUID] = {}

    async def hop(self, run_id: str, issuer: str, found: dict[str, Any]) -> None:
        """What a hop's page says: how many have settled, who stands where, and where to act."""
        key = f"hop-{slug(found['campaign'])}-{slug(issuer)}"
        rows = [
            {
                "Mã": one["recipient"], "Đơn vị": one["name"], "Trạng thái": DELIVERY_STATES[one["state"]],
                "Thời hạn": f"{local(one['due_at']):%d/%m/%Y %H:%M}" if one["due_at"] else "",
                "Đã nhắc": one["reminders"],
            }
            for one in found["recipients"][:MOST_ROWS]
        ]  # fmt: skip
        await self._put(run_id, f"{key}-table", "table", orjson.dumps(rows).decode(), "Các đơn vị nhận")
        await self._progress(run_id, key, found["settled"], found["total"])
        page = office_url(self._portal, "c", found["campaign"], "deliveries", issuer=issuer)
        await self._summary(run_id, key, found["name"], found["totals"], page)

    async def campaign(self, run_id: str, status: dict[str, Any]) -> None:
        """What a campaign's page says: the same, hop by hop."""
        key = f"campaign-{slug(status['code'])}"
        found = {name for one in status["hops"] for name in one["totals"]}
        rows = [
            {"Đơn vị chuyển": one["issuer"], "Trạng thái": HOP_STATES[one["state"]]}
            | {word: one["totals"].get(name, 0) for name, word in _COUNTED.items() if name in found}
            for one in status["hops"]
        ]
        await self._put(run_id, f"{key}-table", "table", orjson.dumps(rows).decode(), "Các chặng chuyển tiếp")
        totals = status["totals"]
        await self._progress(run_id, key, totals.get("settled", 0), totals.get("total", 0))
        page = office_url(self._portal, "c", status["code"])
        await self._summary(run_id, key, status["subject"], totals, page)

    async def _summary(self, run_id: str, key: str, title: str, totals: dict[str, int], page: str) -> None:
        lines = "\n".join(f"| {word} | {totals[name]} |" for name, word in _COUNTED.items() if name in totals)
        text = f"## {title}\n\n| | |\n|---|---:|\n{lines}\n\n[Trang cán bộ]({page})\n"
        await self._put(run_id, f"{key}-summary", "markdown", text, "Tóm tắt")

    async def _progress(self, run_id: str, key: str, done: int, total: int) -> None:
        share = round(100 * done / total, 1) if total else 100.0
        await self._put(run_id, f"{key}-progress", "progress", share, f"Đã xong {done}/{total}")

    async def _put(self, run_id: str, key: str, kind: str, data: str | float, description: str) -> None:
        known = self._known.get((run_id, key)) or await self._standing(run_id, key)
        if known is None or not await self._renew(known, data, description):
            new = ArtifactCreate(key=key, type=kind, data=data, description=description, flow_run_id=UUID(run_id))
            known = (await self._client.create_artifact(new)).id
        self._known[run_id, key] = known

    async def _renew(self, known: UUID, data: str | float, description: str) -> bool:
        """Past the client's own call, which tells the whole table as an event; False: it was deleted in Prefect."""
        body = {"data": data, "description": description}
        try:
            await self._client._client.patch(f"/artifacts/{known}", json=body)
        except PrefectHTTPStatusError as fault:
            if fault.response.status_code == 404:
                return False
            raise
        return True

    async def _standing(self, run_id: str, key: str) -> UUID | None:
        """The one that another process has left on this page."""
        response = await self._client._client.post(
            "/artifacts/filter",
            json={"artifacts": {"key": {"any_": [key]}, "flow_run_id": {"any_": [run_id]}}, "limit": 1},
        )
        response.raise_for_status()
        return UUID(found[0]["id"]) if (found := response.json()) else None


def slug(code: str) -> str:
    """A code as an artifact's key may have it: lower case letters, digits and dashes."""
    return "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in code.lower())
