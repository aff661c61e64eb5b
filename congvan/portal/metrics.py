"""`/metrics` for Prometheus: counts of the whole house. For this machine, or for whoever has the token."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from ipaddress import ip_address

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from congvan.acts import metrics
from congvan.house import House


def routes(house: House) -> list[Route]:
    """The one route."""

    async def show(request: Request) -> Response:
        if not _may_see(request, house):
            # As if there were nothing: it is nobody else's business that there is.
            return PlainTextResponse("", 404)
        return Response(_text(await metrics.snapshot(house)), media_type=CONTENT_TYPE_LATEST)

    return [Route("/metrics", show, methods=["GET"])]


def _may_see(request: Request, house: House) -> bool:
    token = house.settings.metrics_token.get_secret_value()
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if token:
        return hmac.compare_digest(given.encode(), token.encode())
    # Behind a proxy everybody comes from this machine: there a token is needed.
    if request.client is None or "forwarded" in request.headers or "x-forwarded-for" in request.headers:
        return False
    try:
        return ip_address(request.client.host).is_loopback
    except ValueError:
        return False


class _Found:
    """What was counted, as Prometheus collects it."""

    def __init__(self, found: dict[str, dict[metrics.Labels, float]]) -> None:
        self._found = found

    def collect(self) -> Iterator[Metric]:
        """One family for each metric; what ends with `_total` only grows."""
        for name, values in self._found.items():
            names = [label for label, _ in next(iter(values), ())]
            made = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            family = made(name, metrics.HELP[name], labels=names)
            for labels, value in values.items():
                family.add_metric([text for _, text in labels], value)
            yield family


def _text(found: dict[str, dict[metrics.Labels, float]]) -> bytes:
    registry = CollectorRegistry()
    registry.register(_Found(found))
    return generate_latest(registry)
