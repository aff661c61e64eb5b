"""The Prefect server, how it was started, and what it has of us."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import yaml

from congvan.board_check import credentials
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


async def look(environment: Mapping[str, str], config: Path) -> tuple[list[Check], datetime | None]:
    """The checks, and what time the server says it is. config: where the automations lie that it should have."""
    url = environment.get("PREFECT_API_URL", "").rstrip("/")
    if not url:
        remedy = "đặt PREFECT_API_URL=http://127.0.0.1:4200/api, cả cho máy chủ; «congvan up» tự đặt"
        return [fault(_NAME, "PREFECT_API_URL chưa đặt", remedy)], None
    headers = credentials(environment.get("PREFECT_API_AUTH_STRING", ""))
    try:
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=ANSWERS_S) as client:
            answer = (await client.get("/health")).raise_for_status()
            checks = await _asked(client, config)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        remedy = "khởi động máy chủ (prefect server start, congvan up) hoặc sửa PREFECT_API_URL"
        return [fault(_NAME, f"{url} không trả lời ({first_line(error)})", remedy)], None
    return [ok(_NAME, f"{url} trả lời"), *checks], _date(answer.headers.get("date"))


async def _asked(client: httpx.AsyncClient, config: Path) -> list[Check]:
    """What the server says of itself and of us, where it lets itself be asked."""
    try:
        of_itself = _settings((await client.get("/admin/settings")).raise_for_status().json())
        return [*of_itself, *await _of_ours(client, config)]
    except httpx.HTTPStatusError as error:
        if error.response.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            return [fault(_NAME, "máy chủ đòi mật khẩu", "đặt PREFECT_API_AUTH_STRING như ở máy chủ")]
        return [_unread(error)]
    except (httpx.HTTPError, ValueError, LookupError, TypeError) as error:
        return [_unread(error)]


def _unread(error: Exception) -> Check:
    remedy = "xem nhật ký máy chủ Prefect, và phiên bản của nó có phải bản đã khóa không"
    return fault(_NAME, f"không đọc được câu trả lời ({first_line(error)})", remedy)


def _settings(said: Any) -> Iterator[Check]:
    """Those with which the server was started, wherever it has them from."""
    services = said["server"]["services"]
    # True: everything. None, False: nothing, or events alone.
    removed = services["db_vacuum"]["enabled"]
    wrong = {
        "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_ENABLED": services["cancellation_cleanup"]["enabled"],
        "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_ENABLED": services["pause_expirations"]["enabled"],
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": removed is not True
        and not {"events", "flow_runs"} <= {*(removed or ())},
    }
    for setting in (name for name, is_wrong in wrong.items() if is_wrong):
        remedy = f"đặt {setting}={PREFECT_SETTINGS[setting]} cho máy chủ Prefect rồi khởi động lại"
        yield fault(_NAME, f"máy chủ chạy với {setting} khác", remedy)


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
    if found.status_code == httpx.codes.NOT_FOUND:
        remedy = "khởi động congvan-flows (python -m flows), tiến trình này tự đăng ký"
        return [warning(_NAME, "chưa đăng ký các luồng của congvan", remedy)]
    found.raise_for_status()
    hop, checks = found.json(), []
    if hop["paused"] or (hop["schedules"] and not any(one["active"] for one in hop["schedules"])):
        remedy = "bật lại công tắc ở «Schedules» của deployment hop trong Prefect khi muốn tiếp tục"
        checks.append(warning(_NAME, "deployment hop đang tắt: không chặng nào được mở", remedy))
    if pool := hop.get("work_pool_name"):
        workers = (await client.post(f"/work_pools/{pool}/workers/filter", json={})).raise_for_status().json()
        if not any(one["status"] == "ONLINE" for one in workers):
            remedy = "khởi động một worker (python -m flows.worker)"
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


def _date(header: str | None) -> datetime | None:
    """The instant in a Date header (RFC 9110 section 6.6.1); None where there is none."""
    try:
        return parsedate_to_datetime(header) if header else None
    except ValueError:
        return None
