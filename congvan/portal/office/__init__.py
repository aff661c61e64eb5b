"""The operators' pages: behind a login, without JavaScript. Looking is GET, acting is POST under a name."""

from __future__ import annotations

from collections.abc import Callable

from starlette.routing import Route

from congvan.house import Carrier
from congvan.portal.desk import Desk
from congvan.portal.office import book, bulk, campaigns, decisions, delivery, export, letters, plans, sign_in
from congvan.portal.office.counter import Counter

__all__ = ["routes"]


def routes(desk: Desk, carrier: Callable[[], Carrier]) -> list[Route]:
    """Every route of the operators' pages. carrier: makes the mail server's hand for trial mails."""
    counter = Counter(desk, carrier)
    pages = (
        sign_in.SignIn(counter),
        campaigns.Campaigns(counter),
        delivery.DeliveryPages(counter),
        letters.LetterPages(counter),
        plans.PlanPages(counter),
        export.ExportPages(counter),
        bulk.BulkPages(counter),
        book.BookPages(counter),
        decisions.DecisionPages(counter),
    )
    return [route for page in pages for route in page.routes()]
