"""`congvan portal`: the pages alone, for machines that run one part each."""

from __future__ import annotations

from congvan.commands import given
from congvan.commands.session import opened


async def portal(*, host: str = "127.0.0.1", port: given.Whole = 4280) -> None:
    """Chỉ chạy các trang web, sau một máy chủ proxy ngược; Ctrl-C hoặc SIGTERM để dừng.

    Parameters
    ----------
    host
        Địa chỉ để nghe.
    port
        Cổng; 0: hệ thống chọn.
    """
    from congvan.logs import configure
    from congvan.portal.serve import serve

    if not 0 <= port <= 65535:
        raise given.refuse("--port", f"không có cổng {port}", "ghi số từ 0 đến 65535")
    async with opened() as house:
        configure(house.settings)
        print(f"Trang: {house.settings.portal_url} (nghe ở {host}:{port})", flush=True)
        await serve(house, host, port)
