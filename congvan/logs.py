"""Where the log goes: lines for people, or JSON (CONGVAN_LOG=json) with the codes of campaign, hop and delivery."""

from __future__ import annotations

import logging

from congvan.settings import Settings

_LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def configure(settings: Settings) -> None:
    """Send our log to stderr in the form that the settings name; other libraries' from warnings on."""
    from pythonjsonlogger.json import JsonFormatter

    handler = logging.StreamHandler()
    names = {"asctime": "at", "levelname": "level", "name": "logger"}
    as_json = JsonFormatter(_LINE, rename_fields=names, json_ensure_ascii=False)
    handler.setFormatter(as_json if settings.log == "json" else logging.Formatter(_LINE))
    own = logging.getLogger("congvan")
    own.handlers = [handler]
    own.setLevel(logging.INFO)
    own.propagate = False
