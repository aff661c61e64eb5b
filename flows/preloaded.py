"""What the fork server imports: see `flows.forking`."""

from __future__ import annotations

import gc
import signal

import flows.deployments  # noqa: F401

# What is here at the fork stays for ever: no collection of a fork writes into the pages that it shares.
gc.collect()
gc.freeze()
# A signal to the whole group asks the runs to end; who tells how they ended stays until its parent has gone.
signal.signal(signal.SIGTERM, signal.SIG_IGN)
