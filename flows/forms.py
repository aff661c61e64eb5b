"""The forms with which a campaign is launched in Prefect: drawn from the plan's records, in a clerk's words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from congvan.errors import BadInput, Fault
from congvan.launching import plans
from congvan.settings import Settings

Schema = dict[str, Any]
_SAYS_SOMETHING = {"minLength": 1, "pattern": r"\S"}


def short(schema: Schema, settings: Settings) -> Schema:
    """The form for a prepared plan: a list to choose from, a mode, a name, an audience."""
    made = worded(schema, settings.config, "campaign")
    titles = plans(settings)
    plan = made["properties"]["plan"]
    plan["enum"] = list(titles)
    if titles:
        listed = "; ".join(f"{name}: {title}" for name, title in titles.items())
        plan["description"] = f"{plan.get('description', '')} {listed}".strip()
    made["properties"]["by"] |= _SAYS_SOMETHING
    return made


def full(schema: Schema, settings: Settings) -> Schema:
    """The form with every field of a plan."""
    made = worded(schema, settings.config, "campaign-in-full")
    made["properties"]["by"] |= _SAYS_SOMETHING
    return made


def check(settings: Settings) -> None:
    """Raise BadInput where the words of the forms cannot be read: without them nothing is registered."""
    _words(settings.config)


def _words(config: Path) -> dict[str, Any]:
    path = config / "form.yaml"
    try:
        words = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as fault:
        raise _fault(path, f"không đọc được ({type(fault).__name__})") from None
    if not isinstance(words, dict) or not words.keys() >= {"campaign", "campaign-in-full"}:
        raise _fault(path, "thiếu một biểu mẫu")
    return words


def _fault(path: Path, told: str) -> BadInput:
    return BadInput([Fault(str(path), "", told, "chép lại form.yaml từ bản cài đặt")])


def worded(schema: Schema, config: Path, flow: str) -> Schema:
    """The schema with the titles and descriptions of config/form.yaml; fields without words keep their names."""
    words = _words(config)
    records = schema.get("definitions", {})
    described = {name: _described(record, words.get(name, {})) for name, record in records.items()}
    return _described(schema, words[flow]) | ({"definitions": described} if described else {})


def _described(record: Schema, words: dict[str, list[str]]) -> Schema:
    if "properties" not in record:
        return record
    fields = {}
    for place, (name, field) in enumerate(record["properties"].items()):
        title, description = words.get(name, (name, ""))
        fields[name] = field | {"title": title, "position": field.get("position", place)}
        if description:
            fields[name]["description"] = description
    return record | {"properties": fields}
