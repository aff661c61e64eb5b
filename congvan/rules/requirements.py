"""What a report has to say: named fields of a plan, the answers to them, and their sums. Pure.

The portal draws its form from the questions and the command line takes the same fields; `read` has the
last word on both.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from congvan.rules import uploads
from congvan.rules.names import composed
from congvan.rules.uploads import Upload

LONGEST_TEXT = 2_000
#: Of one level's report, fields and the files among them: more than this no form of the portal takes.
MOST_QUESTIONS, MOST_FILES = 80, 15
_WHOLE = re.compile(r"-?\d{1,15}")
_GROUPED = re.compile(r"-?\d{1,3}(?:[., ]\d{3})+")
_ISO_DAY = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")
_DAY = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})")
_YES, _NO = "yes", "no"


class Kind(StrEnum):
    """What a field takes."""

    NUMBER = "number"  # a whole number
    TEXT = "text"
    DATE = "date"
    CHOICE = "choice"
    YES_NO = "yes_no"
    FILE = "file"


def _text(value: object) -> object:
    return unicodedata.normalize("NFC", value).strip() if isinstance(value, str) else value


_Text = Annotated[str, BeforeValidator(_text), Field(max_length=300)]
_Title = Annotated[str, BeforeValidator(_text), Field(min_length=1, max_length=300)]
_Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Choice(_Record):
    """One answer that a choice offers."""

    key: _Key
    title: _Title
    title_en: _Text = ""


class Question(_Record):
    """One named field. min, max: of a number or a date; of a text max is its greatest length."""

    key: _Key
    title: _Title
    title_en: _Text = ""
    kind: Kind
    required: bool = True
    min: int | date | None = None
    max: int | date | None = None
    unit: _Text = ""
    unit_en: _Text = ""
    help: _Text = ""
    help_en: _Text = ""
    choices: tuple[Choice, ...] = ()

    @model_validator(mode="after")
    def can_be_answered(self) -> Self:
        """Refuse what no answer could fit."""
        if (self.kind is Kind.CHOICE) != bool(self.choices):
            raise ValueError(f"mục «{self.key}»: kind: choice thì cần choices, kind khác thì không có choices")
        keys = [one.key for one in self.choices]
        if self.choices and (len(keys) < 2 or len(set(keys)) < len(keys)):
            raise ValueError(f"mục «{self.key}»: cần từ hai lựa chọn trở lên, mỗi lựa chọn một mã riêng")
        self._bounds()
        return self

    def _bounds(self) -> None:
        wanted = {Kind.NUMBER: int, Kind.TEXT: int, Kind.DATE: date}.get(self.kind)
        for bound in (self.min, self.max):
            if bound is not None and (wanted is None or not isinstance(bound, wanted)):
                raise ValueError(f"mục «{self.key}»: min, max không dùng được với kind: {self.kind.value}")
        most = self.max if isinstance(self.max, int) else LONGEST_TEXT
        if self.kind is Kind.TEXT and (self.min is not None or not 0 < most <= LONGEST_TEXT):
            raise ValueError(f"mục «{self.key}»: với kind: text chỉ ghi max, từ 1 đến {LONGEST_TEXT} ký tự")
        if self.min is not None and self.max is not None and self.min > self.max:  # type: ignore[operator]
            raise ValueError(f"mục «{self.key}»: min lớn hơn max")


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with one answer: the name of a message in words.yaml, and what it says of this field."""

    code: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Read:
    """Answers by key: int, str, ISO date, key of a choice, bool, or a file's {name, sha256, size}; what is wrong."""

    answers: Mapping[str, Any]
    wrong: Mapping[str, Wrong]
    files: Mapping[str, Upload]


def read(questions: Sequence[Question], sent: Mapping[str, str], files: Mapping[str, Upload]) -> Read:
    """The answers to all questions, or what is wrong with them. What was not asked is left out.

    A file's hash is added when it is kept.
    """
    answers: dict[str, Any] = {}
    wrong: dict[str, Wrong] = {}
    kept: dict[str, Upload] = {}
    for one in questions:
        if one.kind is Kind.FILE:
            file = files.get(one.key)
            fault = uploads.fault_of(file) if file else "need_file" if one.required else ""
            if fault:
                wrong[one.key] = Wrong(fault)
            elif file:
                kept[one.key] = file
            continue
        said = _clean(sent.get(one.key, ""))
        if not said:
            if one.required:
                wrong[one.key] = Wrong("need_choice" if one.kind in (Kind.CHOICE, Kind.YES_NO) else "need_answer")
            continue
        value = _READ[one.kind](one, said)
        if isinstance(value, Wrong):
            wrong[one.key] = value
        else:
            answers[one.key] = value
    return Read(answers, wrong, kept)


def _clean(text: str) -> str:
    text = composed(text.strip(), LONGEST_TEXT)
    return "".join(ch for ch in text if ch == "\n" or unicodedata.category(ch)[0] != "C").strip()


def _number(one: Question, said: str) -> int | Wrong:
    if _GROUPED.fullmatch(said) and said.isascii():
        said = re.sub(r"[., ]", "", said)
    if not (said.isascii() and _WHOLE.fullmatch(said)):
        return Wrong("not_whole")
    found: int | Wrong = _within(one, int(said), "number")
    return found


def _date(one: Question, said: str) -> str | Wrong:
    iso, plain = _ISO_DAY.fullmatch(said), _DAY.fullmatch(said)
    try:
        if iso:
            found = date(int(iso[1]), int(iso[2]), int(iso[3]))
        elif plain:
            found = date(int(plain[3]), int(plain[2]), int(plain[1]))
        else:
            return Wrong("not_date")
    except ValueError:
        return Wrong("not_date")
    inside = _within(one, found, "date")
    return inside if isinstance(inside, Wrong) else inside.isoformat()


def _within(one: Question, value: Any, what: str) -> Any:
    low, high = one.min, one.max
    if (low is not None and value < low) or (high is not None and value > high):
        if low is not None and high is not None:
            return Wrong(f"{what}_between", {"low": low, "high": high})
        return Wrong(f"{what}_least", {"low": low}) if low is not None else Wrong(f"{what}_most", {"high": high})
    return value


def _words(one: Question, said: str) -> str | Wrong:
    most = one.max if isinstance(one.max, int) else LONGEST_TEXT
    return said if len(said) <= most else Wrong("text_longest", {"high": most})


def _choice(one: Question, said: str) -> str | Wrong:
    return said if said in {choice.key for choice in one.choices} else Wrong("need_choice")


def _yes_no(_one: Question, said: str) -> bool | Wrong:
    return said == _YES if said in (_YES, _NO) else Wrong("need_choice")


_READ = {
    Kind.NUMBER: _number, Kind.DATE: _date, Kind.TEXT: _words, Kind.CHOICE: _choice, Kind.YES_NO: _yes_no,
}  # fmt: skip


# ------------------------------------------------------------------------------------ the other way


def shown(one: Question, value: Any, lang: str = "vi") -> str:
    """An answer as people read it."""
    if value is None:
        return ""
    if one.kind is Kind.YES_NO:
        return ("Yes" if value else "No") if lang == "en" else ("Có" if value else "Không")
    if one.kind is Kind.CHOICE:
        chosen = next((choice for choice in one.choices if choice.key == value), None)
        return (chosen.title_en if lang == "en" and chosen.title_en else chosen.title) if chosen else str(value)
    if one.kind is Kind.DATE:
        return f"{date.fromisoformat(value):%d/%m/%Y}"
    if one.kind is Kind.FILE:
        return str(value["name"])
    unit = one.unit_en if lang == "en" and one.unit_en else one.unit
    if one.kind is Kind.NUMBER:
        number = f"{value:,}" if lang == "en" else f"{value:,}".replace(",", ".")
        return f"{number} {unit}".rstrip()
    return str(value)


@dataclass(slots=True)
class Total:
    """One question over many answers. given: how many answered it; sum: of numbers; counts: by choice, or yes and no;
    first, last: of dates (ISO)."""

    given: int = 0
    sum: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    first: str = ""
    last: str = ""

    def add(self, kind: Kind, value: Any) -> None:
        """One more answer."""
        self.given += 1
        if kind is Kind.NUMBER:
            self.sum += value
        elif kind is Kind.CHOICE:
            self.counts[value] += 1
        elif kind is Kind.YES_NO:
            self.counts[_YES if value else _NO] += 1
        elif kind is Kind.DATE:
            self.first = min(self.first or value, value)
            self.last = max(self.last, value)

    def as_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "given": self.given, "sum": self.sum, "counts": dict(sorted(self.counts.items())), "first": self.first,
            "last": self.last,
        }  # fmt: skip


def roll_up(questions: Sequence[Question], answers: Iterable[Mapping[str, Any]]) -> dict[str, Total]:
    """Every question's total over these answers, also of those that nobody answered."""
    totals = {one.key: Total() for one in questions}
    kinds = {one.key: one.kind for one in questions}
    for said in answers:
        for key, value in said.items():
            if key in totals and value is not None:
                totals[key].add(kinds[key], value)
    return totals
