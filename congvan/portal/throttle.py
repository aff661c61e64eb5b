"""Rate limits by address and by link, in this process's memory.

Generous on purpose: the tenants of a park may sit behind one address, and nobody is to be kept from
answering. They are there to make guessing tokens and flooding pointless.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter


class TooManyRequests(Exception):
    """This address, or this link, has asked too often; it may ask again after `wait_s` seconds."""

    def __init__(self, wait_s: int) -> None:
        super().__init__(f"too many requests; again in {wait_s} s")
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is let through, as `limits` writes it. misses: unknown tokens tried from one address."""

    reads: str = "1200/minute"
    posts: str = "300/minute"
    misses: str = "60/minute"
    link_reads: str = "300/minute"
    link_posts: str = "60/minute"

    @classmethod
    def unlimited(cls) -> Allowance:
        """For the demo, whose played recipients all come from one address."""
        much = "1000000/second"
        return cls(much, much, much, much, much)


class Throttle:
    """Counts requests and refuses what is above the allowance; raise TooManyRequests."""

    def __init__(self, allowance: Allowance) -> None:
        self._items = {
            "reads": parse(allowance.reads),
            "posts": parse(allowance.posts),
            "misses": parse(allowance.misses),
            "link_reads": parse(allowance.link_reads),
            "link_posts": parse(allowance.link_posts),
        }
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    async def request(self, host: str | None, *, post: bool) -> None:
        """One more request from this address."""
        await self._hit("posts" if post else "reads", network(host))

    async def link(self, delivery_id: str, *, post: bool) -> None:
        """One more request with a valid link."""
        await self._hit("link_posts" if post else "link_reads", delivery_id)

    async def miss(self, host: str | None) -> None:
        """One more token that is none of ours. Whoever guesses shuts nobody else out: links that are ours go on, also
        from behind the same address."""
        await self._hit("misses", network(host))

    async def _hit(self, name: str, who: str) -> None:
        if not await self._limiter.hit(self._items[name], name, who):
            await self._refuse(self._items[name], name, who)

    async def _refuse(self, item: RateLimitItem, name: str, who: str) -> None:
        # The window's length rather than its rest: who waits that long is let in for certain.
        raise TooManyRequests(item.get_expiry())


def network(host: str | None) -> str:
    """The address that is counted: an IPv6 host owns its whole /64."""
    try:
        address = ipaddress.ip_address(host or "")
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False).network_address)
    return str(address)
