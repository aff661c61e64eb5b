"""The Prefect server, how it was started, and what it has of us."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import yaml

from congvan.doctor.check import ANSWERS_S, Check, fault, ok, warning
from congvan.errors import first_line

_NAME = "Prefect"
#: Prefect's server reads these when it starts. Measured with 2,000 open runs: the first costs 59 % of a
#: core when on; the second reads every paused run, of which we have none. Without the third it keeps every run
#: for ever, and `watch` alone makes fifty thousand a year; with it those go that ended 90 days ago.
PREFECT_SETTINGS = {
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
}
_OFF = frozenset({"0", "false", "no", "off", "f", "n"})


async def look(environment: Mapping[str, str], config: Path) -> tuple[list[Check], datetime | None]:
    """The checks, and what time the server says it is. config: where the automations lie that it should have."""
    url = environment.get("PREFECT_API_URL", "").rstrip("/")
    if not url:
        remedy = "đặt PREFECT_API_URL=http://127.0.0.1:4200/api, cả cho máy chủ; «congvan up» tự đặt"
        return [fault(_NAME, "PREFECT_API_URL chưa đặt", remedy)], None
    checks = [
        fault(_NAME, f"{setting} chưa đặt đúng", f"đặt {setting}={value} cho máy chủ Prefect rồi khởi động lại")
        for setting, value in PREFECT_SETTINGS.items()
        if not _same_setting(environment.get(setting, ""), value)
    ]
    who = environment.get("PREFECT_API_AUTH_STRING", "")
    auth = httpx.BasicAuth(*who.split(":", 1)) if ":" in who else None
    try:
        async with httpx.AsyncClient(base_url=url, auth=auth, timeout=ANSWERS_S) as client:
            answer = await client.get("/health")
            answer.raise_for_status()
            checks += await _of_ours(client, config)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        remedy = "khởi động máy chủ (prefect server start, congvan up) hoặc sửa PREFECT_API_URL"
        return [fault(_NAME, f"{url} không trả lời ({first_line(error)})", remedy), *checks], None
    return [ok(_NAME, f"{url} trả lời"), *checks], _date(answer.headers.get("date"))


async def look_at_board(url: str) -> list[Check]:
    """The Prefect server that takes the board alone, where there is one."""
    if not url:
        return []
    try:
        async with httpx.AsyncClient(timeout=ANSWERS_S) as client:
            (await client.get(f"{url.rstrip('/')}/health")).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        remedy = "khởi động máy chủ ấy (congvan-board), hoặc bỏ CONGVAN_BOARD_API_URL"
        return [fault(_NAME, f"{url} (bảng theo dõi) không trả lời ({first_line(error)})", remedy)]
    return [ok(_NAME, f"{url} (bảng theo dõi) trả lời")]


async def _of_ours(client: httpx.AsyncClient, config: Path) -> list[Check]:
    """Whether hops can open and automations tell: what is registered, what an operator has switched off."""
    found = await client.get("/deployments/name/hop/congvan")
    if found.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return [fault(_NAME, "máy chủ đòi mật khẩu", "đặt PREFECT_API_AUTH_STRING như ở máy chủ")]
    if found.status_code == httpx.codes.NOT_FOUND:
        remedy = "khởi động congvan-flows (python -m flows), tiến trình này tự đăng ký"
        return [warning(_NAME, "chưa đăng ký các luồng của congvan", remedy)]
    found.raise_for_status()
    hop, checks = found.json(), []
    if hop["paused"]:
        remedy = "bật lại công tắc của deployment hop trong Prefect khi muốn tiếp tục"
        checks.append(warning(_NAME, "deployment hop đang tắt: không chặng nào được mở", remedy))
    if pool := hop.get("work_pool_name"):
        workers = (await client.post(f"/work_pools/{pool}/workers/filter", json={})).raise_for_status().json()
        if not any(one["status"] == "ONLINE" for one in workers):
            remedy = "khởi động congvan-worker (python -m flows.worker)"
            checks.append(fault(_NAME, f"không có worker nào nhận việc của «{pool}»", remedy))
    theirs = (await client.post("/automations/filter", json={})).raise_for_status().json()
    return [*checks, *_automations(config, {one["name"]: one["enabled"] for one in theirs})]


def _automations(config: Path, theirs: Mapping[str, bool]) -> Iterator[Check]:
    for path in sorted((config / "automations").glob("*.yaml")):
        try:
            name = _name_of(path)
        except (OSError, ValueError, yaml.YAMLError, LookupError, TypeError):
            yield warning(_NAME, f"{path} không đọc được", "chép lại tệp ấy từ bản cài đặt")
            continue
        if name not in theirs:
            remedy = "khởi động lại congvan-flows; nhật ký của nó nói vì sao không áp dụng được"
            yield warning(_NAME, f"thiếu automation «{name}» ({path.name})", remedy)
        elif not theirs[name]:
            yield warning(_NAME, f"automation «{name}» đang tắt", "bật lại trong Prefect nếu vẫn cần được báo")


def _name_of(path: Path) -> str:
    read: Any = yaml.safe_load(path.read_text("utf-8"))
    return str(read["name"])


def _same_setting(given: str, wanted: str) -> bool:
    """Whether Prefect reads the same of both."""
    given = given.strip().lower()
    if wanted == "false":
        return given in _OFF
    return given in ("true", "1") or {*wanted.split(",")} <= {one.strip() for one in given.split(",")}


def _date(header: str | None) -> datetime | None:
    """The instant in a Date header (RFC 9110 section 6.6.1); None where there is none."""
    try:
        return parsedate_to_datetime(header) if header else None
    except ValueError:
        return None
