"""What the fork server imports: see `flows.forking`."""

from __future__ import annotations

import functools
import gc
import importlib
import signal
import ssl
from types import SimpleNamespace

from prefect.client import orchestration

import flows.deployments  # noqa: F401
from congvan.store.tables import Table

#: What a run would load when it first needs it: Prefect's engine, its loops, the drivers, every country's holidays (the
#: package of one loads all of them), what reads the mailbox and what writes a digest's table.
LATE = (
    "anyio._backends._asyncio", "prefect.task_engine", "prefect.concurrency.services", "prefect._internal.states",
    "prefect.utilities.visualization", "asyncpg", "aiosqlite", "uvloop", "holidays.countries.vietnam",
    "dateutil.easter", "encodings.idna", "encodings.unicode_escape", "encodings.utf_16_le", "encodings.utf_8_sig",
    "getpass", "termios", "pythonjsonlogger.json", "congvan.acts.inbox", "xlsxwriter",
)  # fmt: skip
for _name in LATE:
    importlib.import_module(_name)
Table.registry.configure()

# Each of Prefect's clients reads the certificates of all authorities anew, four times a run, also where the server is
# asked without TLS. A context may be shared.
_authorities = functools.cache(ssl.create_default_context)
orchestration.ssl = SimpleNamespace(  # type: ignore[attr-defined, assignment]
    create_default_context=_authorities, SSLContext=ssl.SSLContext, CERT_NONE=ssl.CERT_NONE
)
_authorities(cafile=orchestration.certifi.where())  # type: ignore[attr-defined]

# What is here at the fork stays for ever: no collection of a fork writes into the pages that it shares.
gc.collect()
gc.freeze()
# A signal to the whole group asks the runs to end; who tells how they ended stays until its parent has gone.
signal.signal(signal.SIGTERM, signal.SIG_IGN)
