"""`python -m flows`: serves the deployments and runs the relay beside them, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from contextlib import suppress
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.runner import Runner

from congvan.commands.session import built, settings
from congvan.errors import BadInput, CongvanError, Fault
from congvan.house import House
from congvan.logs import configure
from congvan.store.database import Refused
from congvan.store.schema import versions
from flows import forking, forms
from flows.deployments import register as register_all
from flows.left_behind import drop_late_watches
from flows.registered import NAME, Deployments
from flows.relay import Relay

log = logging.getLogger("congvan")
_POLL_S = 1.0
_MOST_PROCESSES = 999


async def main() -> int:
    """Serve until told to stop; 1 when relay or runner ended by itself, so that an init system starts both again, 2
    where nothing can be done before somebody has set or upgraded something."""
    if not os.environ.get("PREFECT_API_URL"):
        # `serve` would accept deployments and run none.
        print("PREFECT_API_URL is not set: start a server and set it, or use `congvan up`", file=sys.stderr)
        return 2
    try:
        given = settings()
        forms.check(given)
        limit = _processes()
        house = built(given, gives_way=True)
    except (CongvanError, OSError) as wrong:
        print(wrong, file=sys.stderr)
        return 2
    configure(house.settings)
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    # Before anything is waited for: it may be long before the database answers, or Prefect.
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    wrong_schema = await _another_schema(house, asked)
    if wrong_schema:
        print(wrong_schema, file=sys.stderr)
    if wrong_schema or asked.is_set():
        await house.close()
        return 2 if wrong_schema else 0
    pool = os.environ.get("CONGVAN_WORK_POOL", "")
    if not pool:
        forking.install()
    runner = Runner(name=NAME, query_seconds=_POLL_S, limit=limit, pause_on_shutdown=False)
    pause_s = float(os.environ.get("CONGVAN_DEMO_PAUSE_S", "0"))

    async def register(client: PrefectClient) -> dict[str, UUID]:
        ids = await register_all(None if pool else runner, client, house.settings, pool, limit)
        # Before the first of them is taken: they are older than whatever is due now.
        await drop_late_watches(client, ids["watch"], house.clock.wall())
        return ids

    deployments = Deployments(register, pooled=bool(pool))
    relay = Relay(house, deployments, every_s=0.3 if house.settings.demo else 1.0, pause_s=pause_s)

    def obey(*_: object) -> None:
        loop.call_soon_threadsafe(asked.set)

    # It would take SIGTERM for itself and leave at once, with the relay's lease in hand.
    runner.handle_sigterm = obey  # type: ignore[method-assign]

    told_to_stop = asyncio.create_task(asked.wait())
    relaying = asyncio.create_task(relay.run(), name="relay")
    await deployments.known(relaying, told_to_stop)
    # With a work pool its workers run the flows, and this process is the relay alone.
    serving = asyncio.create_task(_for_ever() if pool else runner.start(), name="runner")
    if not asked.is_set():
        # One without the other does nothing and looks alive.
        await asyncio.wait({relaying, serving, told_to_stop}, return_when=asyncio.FIRST_COMPLETED)
    relay.stop()
    for task in (serving, told_to_stop):
        task.cancel()
    done = await asyncio.gather(relaying, serving, return_exceptions=True)
    await house.close()
    faults = [one for one in done if isinstance(one, Exception)]
    for fault in faults:
        log.error("ended by a fault", exc_info=fault)
    return 0 if asked.is_set() and not faults else 1


def _processes() -> int:
    """How many flows run at a time; raise BadInput."""
    text = os.environ.get("CONGVAN_PROCESSES", "").strip() or "4"
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= _MOST_PROCESSES):
        remedy = f"ghi một số từ 1 đến {_MOST_PROCESSES}"
        raise BadInput([Fault("môi trường", "CONGVAN_PROCESSES", f"«{text}» không dùng được", remedy)])
    return int(text)


async def _another_schema(house: House, asked: asyncio.Event) -> str:
    """What to do about a database that another version of the program has made; a database that is away is waited
    for, as by the relay, until somebody asks to stop."""
    while not asked.is_set():
        try:
            present, needed = await versions(house.store)
        except (Refused, OSError) as fault:
            log.warning("the database refuses; trying again: %s", type(fault).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(asked.wait(), _POLL_S)
            continue
        if present in (None, needed):
            return ""
        return f"the database has schema {present}, this program needs {needed}: stop the others, then congvan migrate"
    return ""


async def _for_ever() -> None:
    await asyncio.Event().wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
