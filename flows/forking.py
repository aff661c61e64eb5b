"""How a woken hop gets its process: forked from one that has imported everything, instead of importing it anew.

Prefect starts `python -m prefect.engine` for each run. Of the processor time from the wake to the first letter most
went into imports. A fork server (the standard library's) imports once, before it has a thread, and each run is a fork
of it: a process of its own as before, that can be killed, waited for and asked to stop by its id.
"""

from __future__ import annotations

import atexit
import logging
import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Callable, Mapping
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from typing import Any

import anyio
import anyio.abc
from anyio import to_thread
from prefect.context import refresh_global_settings_context
from prefect.runner import _starter_engine
from prefect.utilities import processutils

#: How Prefect starts a run by itself, and how `deployments.at_once` asks its workers to: some Python with this.
ENGINE = ["-m", "prefect.engine"]
#: What a run imports: the engine (without its main module, which is run) and every flow that has a process.
_IMPORTED = ["prefect.flow_engine", "prefect._internal.metrics", "flows.preloaded"]
#: By how much a run is behind those who answer people and show what has happened: where all cores are taken it gets
#: about a third of what each of them gets, else as much as it wants.
NICE = 5
_context = multiprocessing.get_context("forkserver")


def install() -> None:
    """From now on Prefect's runner and workers in this process fork; what they start otherwise stays as it was.

    Prefect names this function as the place to put another way of starting. To be called before anything is started.
    """
    _context.set_forkserver_preload(_IMPORTED)
    _starter_engine.run_process = run_process  # type: ignore[attr-defined, assignment]
    # It imports while the server is asked for work; the first run waits for it no longer than for its own imports.
    forkserver.ensure_running()


async def run_process(
    command: list[str],
    *,
    task_status: anyio.abc.TaskStatus[Any],
    task_status_handler: Callable[[Any], Any],
    env: Mapping[str, str],
    cwd: os.PathLike[str] | str | None = None,
    **how: Any,
) -> None:
    """Start the engine, tell its handle, and wait until it has ended; as Prefect's function of this name does."""
    if command[1:] != ENGINE:
        how |= {"task_status": task_status, "task_status_handler": task_status_handler, "env": env, "cwd": cwd}
        await processutils.run_process(command, **how)
        return
    process = _context.Process(target=_engine, args=(dict(env), None if cwd is None else os.fspath(cwd)))
    # The server answers with the id of the fork, which takes as long as its imports the first time.
    await to_thread.run_sync(process.start)
    try:
        task_status.started(task_status_handler(process))
        await anyio.wait_readable(process.sentinel)
    finally:
        _end(process)


def _end(process: ForkServerProcess) -> None:
    """Ends what its runner does not wait for any more."""
    if process.is_alive():
        process.terminate()
    else:
        process.join()


def _engine(env: dict[str, str], cwd: str | None) -> None:
    """In the fork: `python -m prefect.engine`, in the surroundings of its run."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.nice(NICE)
    os.environ.clear()
    os.environ.update(env)
    if cwd is not None:
        os.chdir(cwd)
    refresh_global_settings_context()
    sys.argv = ["prefect.engine"]
    # It is run as a main module, beside the one that others have imported.
    sys.modules.pop("prefect.engine", None)
    try:
        runpy.run_module("prefect.engine", run_name="__main__", alter_sys=True)
    finally:
        # multiprocessing leaves by os._exit, and Prefect sends its last lines from such functions.
        logging.shutdown()
        atexit._run_exitfuncs()
