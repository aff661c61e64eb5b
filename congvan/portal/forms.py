"""What a recipient may write into a form, and what is wrong with it. Pure; messages are names of words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

from congvan.acts.confirmations import Answer, PassOn
from congvan.acts.views import Obligation
from congvan.errors import LetterRefused
from congvan.mail.address import parse_address
from congvan.rules import requirements, uploads
from congvan.rules.protocol import Event, State
from congvan.rules.records import Settles
from congvan.rules.requirements import LONGEST_TEXT, Wrong
from congvan.rules.uploads import Upload

#: How the fields of a plan are named in a form, and the files beside them.
QUESTION, ATTACHED = "q_", "attached"
_LONGEST = {"reason": 2_000, "note": 1_000, "email": 254, "number": 7}
_LONGEST_LINE = 120
#: What neither a log nor PostgreSQL takes: control and formatting characters, lone surrogates.
_FORBIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_NUMBER = re.compile(r"[1-9]\d{0,5}[a-zđ]?|0\d{1,5}")

_WAITING = frozenset({State.QUEUED, State.SENT, State.DELIVERED, State.UNDELIVERABLE, State.REJECTED})


@dataclass(frozen=True, slots=True)
class Filled:
    """A form as it was sent: cleaned values, and faults {field: name of the message in words.yaml}."""

    values: Mapping[str, str] = field(default_factory=dict)
    faults: Mapping[str, str | Wrong] = field(default_factory=dict)
    #: Files that were chosen, by field.
    files: Mapping[str, Upload] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Offers:
    """Which forms a page holds."""

    confirm: bool
    pass_on: bool
    reject: bool
    contact: bool
    report: bool


def offers(page: Obligation) -> Offers:
    """What can be done with this obligation now; the acts have the last word."""
    state, branch = page.state, page.branch
    open_ = state not in (State.EXEMPT, State.WITHDRAWN, State.COMPLETED)
    passing = page.settles is Settles.FORWARD if branch is None else branch.company
    held_back = passing and branch is not None and branch.opened_at is None and state is not State.FORWARDED
    return Offers(
        confirm=state in _WAITING,
        pass_on=passing and (state in _WAITING or state in (State.ACKNOWLEDGED, State.IN_PROGRESS)),
        reject=state in (State.SENT, State.DELIVERED),
        contact=open_,
        # "Done" would let the letter below leave: whoever has somebody below passes on first.
        report=open_ and page.settles is Settles.COMPLETE and not held_back and state not in _WAITING,
    )


def clean(text: str, longest: int) -> str:
    """NFC, without control characters, cut one beyond the longest so that the check still sees it."""
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n"))
    kept = (ch for ch in text if ch == "\n" or unicodedata.category(ch) not in _FORBIDDEN)
    return "".join(kept).strip()[: longest + 1]


def fill(sent: Mapping[str, str], wanted: tuple[str, ...], required: tuple[str, ...]) -> Filled:
    """The wanted fields, cleaned; a missing or overlong one is a fault."""
    values, faults = {}, {}
    for name in wanted:
        longest = _LONGEST.get(name, _LONGEST_LINE)
        value = clean(sent.get(name, ""), longest)
        if name not in ("reason", "note"):
            value = " ".join(value.split())
        if name in required and not value:
            faults[name] = f"need_{name}"
        elif len(value) > longest:
            faults[name] = "too_long"
        values[name] = value[:longest]
    return Filled(values, faults)


def confirm(sent: Mapping[str, str], page: Obligation) -> Filled:
    """Name, position, and the tick where the letter binds this recipient's segment."""
    return _tick(signed(sent), page)


def signed(sent: Mapping[str, str]) -> Filled:
    """Name and position."""
    return fill(sent, ("name", "position", "segment"), ("name", "position"))


def pass_on(sent: Mapping[str, str], page: Obligation, own_pdf: bytes | None) -> Filled:
    """As to confirm, with the company's own number and its own PDF, both optional."""
    filled = _tick(fill(sent, ("name", "position", "number", "segment"), ("name", "position")), page)
    faults = dict(filled.faults)
    if filled.values["number"] and not _NUMBER.fullmatch(filled.values["number"]):
        faults["number"] = "bad_number"
    if own_pdf is not None and uploads.fault_of(Upload("own.pdf", own_pdf)):
        faults["own_pdf"] = "bad_pdf"
    return Filled(filled.values, faults)


def _tick(filled: Filled, page: Obligation) -> Filled:
    if page.duties and filled.values["segment"] != "yes":
        return Filled(filled.values, {**filled.faults, "segment": "need_segment"})
    return filled


def reject(sent: Mapping[str, str]) -> Filled:
    """A reason, and who says so."""
    return fill(sent, ("name", "position", "reason"), ("name", "reason"))


def report(sent: Mapping[str, str], page: Obligation, files: Mapping[str, Upload]) -> Filled:
    """What was done, the fields that the plan asks for, files, and who says so.

    With the tick, in case the letter was confirmed by telephone. Where fields are asked for, words are free.
    """
    required = ("name", "position") if page.questions else ("name", "position", "reason")
    filled = _tick(fill(sent, ("name", "position", "reason", "segment"), required), page)
    own = {one.key: sent.get(QUESTION + one.key, "")[: LONGEST_TEXT + 1] for one in page.questions}
    wanted = {one.key: files[QUESTION + one.key] for one in page.questions if QUESTION + one.key in files}
    wrong = {QUESTION + key: fault for key, fault in requirements.read(page.questions, own, wanted).wrong.items()}
    beside = {name: file for name, file in files.items() if name.startswith(ATTACHED)}
    for file in beside.values():
        if fault := uploads.fault_of(file):
            wrong[ATTACHED] = Wrong(fault)
    values = dict(filled.values) | {QUESTION + key: value for key, value in own.items()}
    kept = {QUESTION + key: file for key, file in wanted.items()} | beside
    return Filled(values, wrong | dict(filled.faults), kept)


def contact(sent: Mapping[str, str]) -> Filled:
    """A new contact: an operator decides, no address changes by itself."""
    filled = fill(sent, ("contact_name", "email", "phone", "role", "by", "note"), ("email", "by"))
    faults = dict(filled.faults)
    if filled.values["email"] and "email" not in faults:
        try:
            parse_address(filled.values["email"])
        except LetterRefused:
            faults["email"] = "bad_email"
    return Filled(filled.values, faults)


def acknowledged(sent: Mapping[str, str]) -> Answer:
    """The answer "đã tiếp nhận"."""
    values = signed(sent).values
    return Answer(Event.ACKNOWLEDGED, values["name"], values["position"], segment_ticked=values["segment"] == "yes")


def rejected(filled: Filled) -> Answer:
    """The answer "từ chối tiếp nhận", with its reason."""
    values = filled.values
    return Answer(Event.REJECTED, values["name"], values["position"], reason=values["reason"])


def completed(filled: Filled) -> Answer:
    """The answer "hoàn thành", with what was done."""
    values, files = filled.values, filled.files
    own = {name.removeprefix(QUESTION): value for name, value in values.items() if name.startswith(QUESTION)}
    return Answer(
        Event.COMPLETED, values["name"], values["position"],
        data={"report": values["reason"]} if values["reason"] else {},
        segment_ticked=values["segment"] == "yes", fields=own,
        files={name.removeprefix(QUESTION): file for name, file in files.items() if name.startswith(QUESTION)},
        attached=[file for name, file in sorted(files.items()) if name.startswith(ATTACHED)],
    )  # fmt: skip


def passed_on(filled: Filled, own_pdf: bytes | None) -> PassOn:
    """The company's own act."""
    values = filled.values
    return PassOn(
        values["name"], values["position"], values["number"], segment_ticked=values["segment"] == "yes",
        own_pdf=own_pdf,
    )  # fmt: skip
