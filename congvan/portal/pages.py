"""From values to pages: Jinja2 without holes, two languages, links that keep the language."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import jinja2
import yaml
from starlette.responses import HTMLResponse

from congvan.errors import ActRefused
from congvan.letters import numbering
from congvan.rules import labels
from congvan.rules.calendar import local
from congvan.rules.requirements import Kind, Question, Wrong, shown

LANGUAGES = ("vi", "en")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip


class Pages:
    """The templates of one folder. prefix: the path under which the portal is reached, mostly empty."""

    def __init__(self, folder: Path, portal_url: str) -> None:
        self.style = (folder / "style.css").read_bytes()
        self.style_version = hashlib.sha256(self.style).hexdigest()[:12]
        #: What only the operators' pages need; recipients on a phone do not load it.
        self.office_style = (folder / "office" / "office.css").read_bytes()
        self.prefix = urlsplit(portal_url).path.rstrip("/")
        self._words: dict[str, dict[str, str]] = yaml.safe_load((folder / "words.yaml").read_text("utf-8"))
        self._refusals_en: dict[str, str] = yaml.safe_load((folder / "refusals_en.yaml").read_text("utf-8"))
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(str(folder)),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals["labels"] = labels
        self._environment.filters |= {
            "thousands": numbering.thousands,
            "short": lambda instant: f"{local(instant):%H:%M %d/%m/%Y}",
            "local_day": lambda instant: local(instant).date(),
            "iso_moment": lambda text, said: said(datetime.fromisoformat(text)) if text else "–",
        }

    def url(self, *parts: str, lang: str = "vi", **query: str | int) -> str:
        """A path of ours with its parts escaped; the language stays in the query."""
        if lang != "vi":
            query["lang"] = lang
        path = "/".join(quote(part, safe="") for part in parts)
        return f"{self.prefix}/{path}" + (f"?{urlencode(query)}" if query else "")

    @property
    def office_style_url(self) -> str:
        """Where the sheet of the operators' pages is; a new sheet has a new address."""
        return self.url("static", "office.css", v=hashlib.sha256(self.office_style).hexdigest()[:12])

    def word(self, key: str, lang: str, **values: object) -> str:
        """A text by its name; KeyError for a name that `words.yaml` lacks."""
        text = self._words[key][lang]
        return text.format(**values) if values else text

    def refusal(self, error: ActRefused, lang: str) -> str:
        """Why an act was refused, as recipients read it."""
        text = str(error)
        known = self._refusals_en.items() if lang == "en" else ()
        return next((said for start, said in known if text.startswith(start)), text)

    def html(self, name: str, lang: str, values: Mapping[str, Any]) -> str:
        """A page; jinja2.UndefinedError for a name that nobody gave."""
        return self._environment.get_template(name).render(**values, **self._tools(lang))

    def response(
        self,
        name: str,
        lang: str,
        values: Mapping[str, Any],
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> HTMLResponse:
        """A page as an answer."""
        return HTMLResponse(self.html(name, lang, values), status, headers=dict(headers or {}))

    def _tools(self, lang: str) -> dict[str, Any]:
        said_day = day_en if lang == "en" else numbering.short_day

        def t(key: str | Wrong, **values: object) -> str:
            name, said = (key.code, key.values) if isinstance(key, Wrong) else (key, values)
            shown_days = {one: said_day(value) if isinstance(value, date) else value for one, value in said.items()}
            return self.word(name, lang, **shown_days)

        def url(*parts: str, **query: str | int) -> str:
            return self.url(*parts, **{"lang": lang, **query})  # type: ignore[arg-type]

        return {
            "lang": lang,
            "other_lang": "en" if lang == "vi" else "vi",
            "t": t,
            "url": url,
            "moment": moment_en if lang == "en" else numbering.moment,
            "day": said_day,
            "size": size,
            "shown": lambda question, value: answer(question, value, lang),
            "style_url": self.url("static", "style.css", v=self.style_version),
        }


def language(query: Mapping[str, str]) -> str:
    """The language that the address asks for; Vietnamese unless it says another one that we have."""
    wanted = query.get("lang", "")
    return wanted if wanted in LANGUAGES else "vi"


def day_en(day: date | None) -> str:
    """ "8 December 2023": not 08/12, which half of the readers of English take for August."""
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}" if day else "…"


def answer(question: Question, value: Any, lang: str) -> str:
    """An answer of a report as people read it."""
    if lang == "en" and question.kind is Kind.DATE and value:
        return day_en(date.fromisoformat(value))
    return shown(question, value, lang)


def moment_en(instant: datetime) -> str:
    """ "17:00 on 8 December 2023 (Vietnam time)"; ValueError for a naive instant."""
    wall = local(instant)
    return f"{wall:%H:%M} on {day_en(wall.date())} (Vietnam time)"


def size(octets: int) -> str:
    """The size of a file as people read it: "86 kB", "1.2 MB"."""
    if octets < 1024 * 1024:
        return f"{max(1, round(octets / 1024))} kB"
    return f"{octets / 1024 / 1024:.1f} MB"
