"""What a recipient may write into a form, and what is wrong with it. Pure; messages are names of words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from congvan.acts.by_hand import WAYS
from congvan.acts.confirmations import Answer
from congvan.acts.obligations import Obligation
from congvan.acts.passing_on import PassOn
from congvan.errors import LetterRefused
from congvan.letters.numbering import is_number
from congvan.mail.address import parse_address
from congvan.rules import requirements, uploads
from congvan.rules.names import composed
from congvan.rules.protocol import Event, State, settled
from congvan.rules.records import Settles
from congvan.rules.requirements import LONGEST_TEXT, Kind, Question, Wrong
from congvan.rules.uploads import Upload

#: How the fields of a plan are named in a form, and the files beside them.
QUESTION, ATTACHED = "q_", "attached"
#: A company's own letter, in a form.
OWN_PDF = "own_pdf"
#: Before the name of a field for files: one was chosen before the form came back; whoever sends it goes without now.
CHOSEN, WITHOUT = "chosen_", "without_"
#: The tick of one below, and what is said of it; followed by its delivery.
REACHED, EVIDENCE = "t_", "e_"
_DAY = Question.model_validate({"key": "day", "title": "day", "kind": "date"})
_LONGEST = {"reason": 2_000, "note": 1_000, "email": 254, "number": 7}
_LONGEST_LINE = 120
#: What neither a log nor PostgreSQL takes: control and formatting characters, lone surrogates.
_FORBIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
#: Names of fields are part of what is asked of the database.
_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")

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
    by_hand: bool
    left_out: bool
    delegate: bool
    receipt: bool


def offers(page: Obligation) -> Offers:
    """What can be done with this obligation now; the acts have the last word."""
    state, branch = page.state, page.branch
    open_ = state not in (State.EXEMPT, State.WITHDRAWN, State.COMPLETED)
    passing = page.settles is Settles.FORWARD if branch is None else branch.company
    held_back = passing and branch is not None and branch.opened_at is None and state is not State.FORWARDED
    pass_on = passing and (state in _WAITING or state in (State.ACKNOWLEDGED, State.IN_PROGRESS))
    fresh = branch is not None and branch.company and branch.opened_at is None and branch.bypassed_at is None
    owed = open_ and not settled(state, page.settles) and page.due_at is not None
    own = not page.colleague
    return Offers(
        confirm=state in _WAITING,
        pass_on=own and pass_on,
        reject=own and state in (State.SENT, State.DELIVERED),
        contact=own and open_,
        by_hand=own and pass_on and fresh and branch is not None and branch.total > 0,
        left_out=own and owed and page.left_out != "OPEN",
        delegate=own and owed,
        receipt=bool(page.answers),
        # "Done" would let the letter below leave: whoever has somebody below passes on first.
        report=open_ and page.settles is Settles.COMPLETE and not held_back and state not in _WAITING,
    )


def clean(text: str, longest: int) -> str:
    """NFC, without control characters, cut one beyond the longest so that the check still sees it."""
    text = composed(text.strip(), longest)
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


def once_more(filled: Filled) -> Filled:
    """The form as it comes back: a browser sends no file twice, so each that was chosen is asked for again."""
    return _asked_again(filled, sorted(_came(filled)))


def _files_promised(filled: Filled, sent: Mapping[str, str], *fields: str) -> Filled:
    """Faults for files that had been chosen before the form came back and are neither here nor given up: what was
    prepared must not leave in the place of a file that somebody chose."""
    promised = [name for name in fields if sent.get(CHOSEN + name) == "yes" and sent.get(WITHOUT + name) != "yes"]
    came = _came(filled)
    return _asked_again(filled, [name for name in promised if name not in came])


def _asked_again(filled: Filled, names: Sequence[str]) -> Filled:
    values = {**filled.values, **{CHOSEN + name: "yes" for name in names}}
    return Filled(values, dict.fromkeys(names, "choose_again") | dict(filled.faults), filled.files)


def _came(filled: Filled) -> set[str]:
    """Fields of the files that came; several files of one field are counted on."""
    return {ATTACHED if name.startswith(ATTACHED) else name for name in filled.files}


def confirm(sent: Mapping[str, str], page: Obligation) -> Filled:
    """Name, position, and the tick where the letter binds this recipient's segment."""
    return _tick(signed(sent), page)


def signed(sent: Mapping[str, str]) -> Filled:
    """Name and position."""
    return fill(sent, ("name", "position", "segment"), ("name", "position"))


def pass_on(sent: Mapping[str, str], page: Obligation, files: Mapping[str, Upload]) -> Filled:
    """As to confirm, with the company's own number and its own PDF, both optional."""
    filled = _tick(fill(sent, ("name", "position", "number", "segment"), ("name", "position")), page)
    faults = dict(filled.faults)
    if filled.values["number"] and not is_number(filled.values["number"]):
        faults["number"] = "bad_number"
    own = {}
    if OWN_PDF in files:
        own[OWN_PDF] = Upload("own.pdf", files[OWN_PDF].data)
        if fault := uploads.fault_of(own[OWN_PDF]):
            faults[OWN_PDF] = "bad_pdf" if fault == "file_kind" else fault
    return _files_promised(Filled(filled.values, faults, own), sent, OWN_PDF)


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
    own = {one.key: clean(sent.get(QUESTION + one.key, ""), LONGEST_TEXT) for one in page.questions}
    wanted = {one.key: files[QUESTION + one.key] for one in page.questions if QUESTION + one.key in files}
    wrong = {QUESTION + key: fault for key, fault in requirements.read(page.questions, own, wanted).wrong.items()}
    beside = {name: file for name, file in files.items() if name.startswith(ATTACHED)}
    for file in beside.values():
        if fault := uploads.fault_of(file):
            wrong[ATTACHED] = Wrong(fault)
    values = dict(filled.values) | {QUESTION + key: value for key, value in own.items()}
    kept = {QUESTION + key: file for key, file in wanted.items()} | beside
    asked = [QUESTION + one.key for one in page.questions if one.kind is Kind.FILE]
    return _files_promised(Filled(values, wrong | dict(filled.faults), kept), sent, ATTACHED, *asked)


def contact(sent: Mapping[str, str]) -> Filled:
    """A new contact, or "this mailbox is not theirs": an operator decides, no address changes by itself."""
    wrong_box = sent.get("not_us") == "yes"
    wanted = ("contact_name", "email", "phone", "role", "by", "note", "not_us")
    return _addressed(fill(sent, wanted, ("by",) if wrong_box else ("email", "by")))


def _addressed(filled: Filled) -> Filled:
    faults = dict(filled.faults)
    if filled.values["email"] and "email" not in faults:
        try:
            parse_address(filled.values["email"])
        except LetterRefused:
            faults["email"] = "bad_email"
    return Filled(filled.values, faults)


def left_out(sent: Mapping[str, str]) -> Filled:
    """ "It does not apply to us, because …", and who says so."""
    return fill(sent, ("name", "position", "reason"), ("name", "position", "reason"))


def delegated(sent: Mapping[str, str]) -> Filled:
    """A colleague: mailbox and name, who passes the page on, a note."""
    return _addressed(fill(sent, ("email", "contact_name", "by", "note"), ("email", "by")))


def by_hand(sent: Mapping[str, str], page: Obligation, files: Mapping[str, Upload], today: date) -> Filled:
    """Whom the company has reached by itself, how, on which day, with what evidence."""
    filled = pass_on(sent, page, files)
    more = fill(sent, ("how", "day", "all"), ("how", "day"))
    faults = dict(filled.faults) | dict(more.faults)
    if more.values["how"] and more.values["how"] not in WAYS:
        faults["how"] = "need_how"
    day = day_of(more.values["day"])
    if more.values["day"] and day is None:
        faults["day"] = "not_date"
    elif day is not None and day > today:
        faults["day"] = Wrong("date_most", {"high": today})
    sent = {name: value for name, value in sent.items() if _NAME.fullmatch(name)}
    ticked = {name: "yes" for name, value in sent.items() if name.startswith(REACHED) and value == "yes"}
    if sent.get("all") == "yes":
        # Every line of the page has its field for evidence.
        ticked = {REACHED + name.removeprefix(EVIDENCE): "yes" for name in sent if name.startswith(EVIDENCE)}
    said = {name: clean(sent.get(name, ""), 300)[:300] for name in sent if name.startswith(EVIDENCE)}
    if not ticked:
        faults["reached"] = "need_reached"
    return Filled({**filled.values, **more.values, **ticked, **said}, faults, filled.files)


def day_of(text: str) -> date | None:
    """A day as 2023-12-05 or 05/12/2023; None for anything else."""
    found = requirements.read([_DAY], {"day": text}, {}).answers.get("day")
    return date.fromisoformat(found) if found else None


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


def passed_on(filled: Filled) -> PassOn:
    """The company's own act."""
    values, own = filled.values, filled.files.get(OWN_PDF)
    reached = {
        name.removeprefix(REACHED): values.get(EVIDENCE + name.removeprefix(REACHED), "")
        for name in values
        if name.startswith(REACHED)
    }
    return PassOn(
        values["name"], values["position"], values["number"], segment_ticked=values["segment"] == "yes",
        own_pdf=own.data if own else None, by_hand=reached, how=values.get("how", ""),
        on_day=day_of(values.get("day", "")),
    )  # fmt: skip
