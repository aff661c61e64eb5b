"""Every word of the pages stands in words.yaml, in both languages, and each is used."""

from __future__ import annotations

import re
import string
import unicodedata
from pathlib import Path

import yaml

from congvan.rules.protocol import Event, State
from congvan.settings import Settings
from tests.portal.world import small_register

FOLDER = Settings(_env_file=None).templates / "portal"
WORDS = yaml.safe_load((FOLDER / "words.yaml").read_text("utf-8"))


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_text_has_both_languages_with_the_same_blanks() -> None:
    for key, texts in WORDS.items():
        assert set(texts) == {"vi", "en"}, key
        assert all(text.strip() for text in texts.values()), key
        if key not in ("pass_on_button",):
            assert fields(texts["vi"]) == fields(texts["en"]), key
        assert texts["vi"] == unicodedata.normalize("NFC", texts["vi"])


def test_every_text_is_used_and_every_used_text_is_there() -> None:
    sources = [*FOLDER.glob("*.html"), *Path("congvan/portal").glob("*.py")]
    sources += [Path("congvan/rules/requirements.py"), Path("congvan/rules/uploads.py")]
    sources += [Path("congvan/acts/signed_files.py")]
    text = "\n".join(path.read_text("utf-8") for path in sources)
    used = set(re.findall(r'\bt\("(\w+)"[,)]', text))
    assert used <= set(WORDS)
    composed = re.findall(r't\("(\w+_)" ~', text)
    quoted = set(re.findall(r'"(\w+)"', text))
    needed = {key for key in WORDS if key.startswith(tuple(composed))} | quoted
    composed_in_code = {f"{what}_{end}" for what in ("number", "date") for end in ("between", "least", "most")}
    stems = {f"{stem}_{part}" for stem in quoted for part in ("title", "text")} | {f"need_{one}" for one in quoted}
    stems |= composed_in_code
    assert set(WORDS) - used - needed - stems == set()


def test_every_refusal_that_a_recipient_may_meet_stands_in_english() -> None:
    known = yaml.safe_load((FOLDER / "refusals_en.yaml").read_text("utf-8"))
    # The last is for what nobody thought of; of a number that is taken `issuing` tells, which is else the clerk's.
    assert list(known)[-1] == ""
    del known[""], known["số "]
    acts = ("by_hand", "confirmations", "delegates", "passing_on", "receipts", "requests")
    source = "\n".join((Path("congvan/acts") / f"{name}.py").read_text("utf-8") for name in acts)
    said = re.findall(r'(?:ActRefused|super\(\).__init__)\(\s*f?"([^"]+)', source)
    # Whoever decides on a request is an operator.
    asked = [text for text in said if not text.startswith(("Đề nghị này", "Cần họ tên người quyết định"))]
    assert [text for text in asked if not text.startswith(tuple(known))] == []
    assert [start for start in known if not any(text.startswith(start) for text in asked)] == []


def test_every_state_and_every_answer_has_its_name() -> None:
    assert {f"state_{state.value}" for state in State} <= set(WORDS)
    answers = (Event.ACKNOWLEDGED, Event.STARTED, Event.FORWARDED, Event.COMPLETED, Event.REJECTED)
    assert {f"event_{event.value}" for event in answers} <= set(WORDS)


def test_templates_hold_no_words_of_their_own_and_name_no_authority() -> None:
    register = small_register(Settings(_env_file=None))
    names = {one.name for one in register.organisations}
    for path in (path for path in FOLDER.rglob("*") if path.is_file()):
        text = path.read_text("utf-8")
        assert not any(name in text for name in names if len(name) > 12), path.name
        # The operators' pages are in Vietnamese alone and bring their own words.
        if path.suffix == ".html" and path.parent == FOLDER:
            bare = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}|<[^>]*>", " ", text, flags=re.DOTALL)
            assert not set(re.findall(r"[^\W\d_]{4,}", bare)) - {"wide", "narrow"}, path.name
