"""The auditor's round, and the sign of life to whoever waits for it outside."""

from __future__ import annotations

import logging
from collections import Counter

import httpx

from congvan.acts import auditing
from tasks import effect, house

log = logging.getLogger("congvan.auditor")

#: Whoever is asked for longer than this is not there.
_ANSWERS_S = 10


@effect
async def audit() -> bool:
    """Make a round, and give the sign of life where nothing is wrong; whether it was taken.

    The log has codes and numbers, no person. A round that cannot be made raises, and gives no sign either.
    """
    found = await auditing.make_round(house())
    for (campaign, kind), number in Counter((one.campaign, one.kind) for one in found).items():
        first = next(one.place for one in found if (one.campaign, one.kind) == (campaign, kind))
        log.error("the auditor found %s × %r in %r, the first at %s", number, kind, campaign, first)
    return not found and await _beat(house().settings.heartbeat_url.get_secret_value())


async def _beat(url: str) -> bool:
    if not url:
        return False
    try:
        async with httpx.AsyncClient(timeout=_ANSWERS_S) as client:
            (await client.get(url)).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        # The address is a secret, and an error may quote it. Its silence is its own alarm.
        log.warning("the heartbeat was not taken: %s", type(error).__name__)
        return False
    return True
