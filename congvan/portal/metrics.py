"""`/metrics` for Prometheus: counts of the whole house. For this machine, or for whoever has the token."""

from __future__ import annotations

import hmac
from ipaddress import ip_address

from prometheus_client import CollectorRegistry, Gauge, generate_latest
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


def _text(found: dict[str, dict[metrics.Labels, float]]) -> bytes:
    registry = CollectorRegistry()
    for name, values in found.items():
        names = [label for label, _ in next(iter(values), ())]
        gauge = Gauge(name, metrics.HELP[name], names, registry=registry)
        for labels, value in values.items():
            (gauge.labels(*(text for _, text in labels)) if labels else gauge).set(value)
    return generate_latest(registry)
