"""Runs the portal: uvicorn in this process, on the event loop of whoever calls."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn

from congvan.errors import CongvanError
from congvan.house import House
from congvan.portal.app import app
from congvan.portal.throttle import Allowance

#: How long answers under way may take when the portal is stopped, in seconds.
_LAST_ANSWERS_S = 10


class NotListening(CongvanError):
    """The address of the pages is taken, or is none of this machine."""


class _Server(uvicorn.Server):
    """Leaves signals to whoever runs the loop, where that is wanted."""

    def __init__(self, config: uvicorn.Config, *, signals: bool, started: Callable[[int], None] | None) -> None:
        super().__init__(config)
        self._signals = signals
        self._tell = started

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """uvicorn's own handlers, or none."""
        with super().capture_signals() if self._signals else contextlib.nullcontext():
            yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say on which port; raise NotListening."""
        try:
            await super().startup(sockets)
        except (SystemExit, UnicodeError) as ending:
            # uvicorn ends the whole program where the address cannot be had, with a status that says nothing.
            where, why = f"{self.config.host}:{self.config.port}", ending.__context__ or ending
            raise NotListening(f"không nghe được ở {where}: {why}") from None
        if self._tell is not None and self.started:
            self._tell(self.servers[0].sockets[0].getsockname()[1])


async def serve(
    house: House,
    host: str,
    port: int,
    *,
    mail_folder: Path | None = None,
    allowance: Allowance | None = None,
    signals: bool = True,
    started: Callable[[int], None] | None = None,
) -> None:
    """Serve until cancelled or, with `signals`, until SIGINT or SIGTERM; answers under way are finished.

    port 0: the kernel picks one. started: called with the port once the portal listens. The parser is
    httptools where it is there; the loop is asyncio's own, since uvloop makes no difference to a page. The reverse
    proxies of the settings may say whom they speak for; nobody else may.
    """
    config = uvicorn.Config(
        app(house, mail_folder=mail_folder, allowance=allowance),
        host=host,
        port=port,
        log_config=None,
        # The log of our own holds no tokens.
        access_log=False,
        server_header=False,
        date_header=True,
        lifespan="off",
        ws="none",
        proxy_headers=True,
        forwarded_allow_ips=[str(one) for one in house.settings.trusted_proxies],
        timeout_graceful_shutdown=_LAST_ANSWERS_S,
        h11_max_incomplete_event_size=16 * 1024,
    )
    server = _Server(config, signals=signals, started=started)
    running = asyncio.ensure_future(server.serve())
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        server.should_exit = True
        await running
        raise
