"""What an address asks of the roll: filters, order, page. Read leniently, since people edit addresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from congvan.acts.roll import Mark, Order, Wanted
from congvan.portal import forms
from congvan.rules.protocol import State

#: Rows on one page of the table.
PAGE_ROWS = 50
_MOST_PAGES = 100_000


@dataclass(frozen=True, slots=True)
class Asked:
    """A view of the roll, as its address has it."""

    wanted: Wanted
    order: Order = Order.CODE
    down: bool = False
    number: int = 1

    def query(self, **changed: str | int) -> str:
        """This view as the query of an address, with some of it changed; "" where nothing is asked."""
        kept = {
            "q": self.wanted.search, "state": self.wanted.state, "park": self.wanted.park, "level": self.wanted.level,
            "issuer": self.wanted.issuer, "mark": self.wanted.mark,
            "sort": "" if self.order is Order.CODE else self.order.value, "down": "yes" if self.down else "",
            "page": self.number if self.number > 1 else "",
        }  # fmt: skip
        return urlencode({name: value for name, value in (kept | changed).items() if value != ""})

    def sorted_by(self, order: str) -> str:
        """The query that sorts by this column, turned round where it is sorted by it already."""
        down = "yes" if order == self.order.value and not self.down else ""
        return self.query(sort=order if order != Order.CODE else "", down=down, page="")


def asked(query: Mapping[str, str], by: str) -> Asked:
    """What a query asks; whatever makes no sense is left out."""

    def text(name: str, longest: int = 40) -> str:
        return " ".join(forms.clean(query.get(name, ""), longest).split())[:longest]

    state, mark, order = text("state"), text("mark"), text("sort")
    wanted = Wanted(
        search=text("q", 120), state=state if state in set(State) else "", park=text("park"), level=text("level"),
        issuer=text("issuer"), mark=mark if mark in set(Mark) else "", mine=by,
    )  # fmt: skip
    page = query.get("page", "1")
    number = int(page) if page.isascii() and page.isdigit() and len(page) < 7 else 1
    return Asked(
        wanted, Order(order) if order in set(Order) else Order.CODE, text("down") == "yes",
        min(max(number, 1), _MOST_PAGES),
    )  # fmt: skip
