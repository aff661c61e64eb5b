"""A plan's texts printed as its letters will print them, before anything is frozen: samples stand for what is unknown.

A text that no letter can print would be found when the first letter is drafted, in a campaign that runs already.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import cache
from typing import Any

import jinja2
from markupsafe import Markup

from congvan.errors import first_line
from congvan.letters import filters, fragment, numbering, writing
from congvan.letters.sheet import Sheet
from congvan.rules.records import CampaignPlan

_DEADLINE = datetime(2024, 1, 2, 17, tzinfo=numbering.VIETNAM)
_ABOVE = {
    "kind": "Công văn", "number": "1", "symbol": "A-B", "date": "2024-01-02", "issuer": "Cơ quan cấp trên",
    "short": "Cấp trên",
}  # fmt: skip
_ISSUER = "Cơ quan ban hành"


def context(plan: CampaignPlan, *, below: bool) -> dict[str, Any]:
    """The names that `acts.drafting` gives to the words of a letter.

    below: the letter of an authority stands above, and is cited.
    """
    return {
        "letter": plan.letter.model_dump(mode="json"),
        "directives": [one.model_dump(mode="json") for one in plan.directives],
        "deadline": _DEADLINE,
        "deadlines": [],
        "forwarded": _ABOVE if below else None,
        "parks": ["KCN"],
        "authority": _ISSUER,
        "leader": plan.letter.signer.name,
        "unit": "Đơn vị",
    }


def refused(plan: CampaignPlan, text: str, *, item: bool = False) -> tuple[str, str] | None:
    """What keeps a text of this plan from being printed, and what to do about it; None: nothing.

    Tried as the first letter of the chain prints it and as one further down does. item: it stands in a list.
    """
    try:
        for written in _printed(plan, text, item):
            writing.html(fragment.read(written))
    # A text may ask Jinja for anything, and that fails in ever new ways.
    except Exception as error:
        return explain(error)
    return None


def _printed(plan: CampaignPlan, text: str, item: bool) -> Iterator[Markup]:
    for below in (False, True):
        sheet = Sheet(template="letter", issuer=_ISSUER)
        words = filters.words(_template().new_context({"sheet": sheet, **context(plan, below=below)}), text)
        yield Markup("<ul><li>%s</li></ul>") % words if item else filters.block(words)


@cache
def _template() -> jinja2.Template:
    return filters.environment(autoescape=True).from_string("")


def explain(error: Exception) -> tuple[str, str]:
    """Why words could not be printed, and what to do about it, for the one who wrote them."""
    if isinstance(error, fragment.WordsRefused):
        return str(error), "chỉ dùng p, ul, ol, li, b, i, u, table, a, br"
    if isinstance(error, jinja2.TemplateNotFound):
        return f"không có mẫu «{error.name}»", "kiểm tra tên mẫu, và thư mục mẫu riêng của cơ quan"
    said = first_line(error)
    if isinstance(error, jinja2.UndefinedError):
        return f"không có giá trị cho một tên giữa {{{{ và }}}} ({said})", "sửa tên ấy, hoặc viết thẳng lời văn"
    if isinstance(error, jinja2.TemplateSyntaxError):
        remedy = "mỗi {{ cần một }}, mỗi {% if %} cần một {% endif %}"
        return f"sai cú pháp của mẫu ({said})", remedy
    return f"không in được ({type(error).__name__}: {said})", "viết thẳng lời văn, không dùng {{ }} hoặc {% %} ở đây"
