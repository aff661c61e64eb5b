"""The records that travel between the parts: organisations, plans, policies. Frozen, validated, NFC.

A plan (`config/campaigns/*.yaml`) and a cascade (`config/cascade.yaml`) are these models written as
YAML; `congvan.reading` turns their validation errors into faults with a remedy.
(Longer than a file should be: the words of one file format, each record after those that it is made of.)
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date, time
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from congvan.rules.names import one_line, without_unseen
from congvan.rules.requirements import Question


def nfc(text: object) -> object:
    """Text in Unicode NFC (TCVN 6909:2001 is met by precomposed letters) with plain line ends, without unseen marks."""
    if isinstance(text, str):
        plain = without_unseen(text).replace("\r\n", "\n").replace("\r", "\n")
        return unicodedata.normalize("NFC", plain).strip()
    return text


def _line(text: object) -> object:
    # A name or a subject with a line break in it can stand in no header of a mail.
    return one_line(str(nfc(text))) if isinstance(text, str) else text


def _on_the_wall(at: object) -> object:
    # To pydantic 1700 is 28 minutes past midnight, and of 17:00+02:00 nobody would heed the zone.
    if not isinstance(at, time) and not re.fullmatch(r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?", str(at).strip()):
        raise PydanticCustomError("time_parsing", "no time on the wall")
    return f"0{at.strip()}" if isinstance(at, str) and at.strip()[1:2] == ":" else at


def _of_the_calendar(day: object) -> object:
    # To pydantic a bare number is a count of seconds since 1970.
    if not isinstance(day, date) and not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", str(day).strip()):
        raise PydanticCustomError("date_parsing", "no day of the calendar")
    return day


#: A time in Vietnam, as a clock shows it: 17:00.
Wall = Annotated[time, BeforeValidator(_on_the_wall)]
#: 2023-11-29.
Day = Annotated[date, BeforeValidator(_of_the_calendar)]
Text = Annotated[str, BeforeValidator(nfc)]
#: One line of at most 500 characters: Subject in NĐ 30/2020 Phụ lục VI.
Line = Annotated[str, BeforeValidator(_line), Field(min_length=1, max_length=500)]
#: The constraint before the validator, or the schema that forms are drawn from would lose it.
Code = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$"), BeforeValidator(nfc)]


class Record(BaseModel):
    """A frozen record that refuses fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# ---------------------------------------------------------------------------- the registry


class Contact(Record):
    """A mailbox of an organisation; role mailboxes come first (Luật 91/2025/QH15: least personal data)."""

    email: str
    name: Text = ""
    role: Text = ""
    phone: Text = ""
    order: int = 1
    designated_by: Text = ""
    valid_from: Day | None = None
    valid_until: Day | None = None


class Person(Record):
    """Who signs for an organisation, between two dates (both inclusive, open when None)."""

    name: Line
    position: Line
    #: TM., KT., TL., TUQ., Q. or empty (NĐ 30/2020 Phụ lục I, mục II.7b), with the head's title: "KT. TRƯỞNG BAN".
    authority: Text = ""
    valid_from: Day | None = None
    valid_until: Day | None = None


class Park(Record):
    """An industrial park. Phases with another developer are parks of their own."""

    code: Code
    name: Line
    investor: Code | None = None
    zone: Text = ""
    invented: bool = False


class Organisation(Record):
    """One body on the chain. `level` is a level of the cascade: city, board, unit, investor, tenant…"""

    code: Code
    name: Line
    level: Code
    name_en: Text = ""
    #: What it is called where the full name is too long: "UBND thành phố …"; empty: the full name.
    short_name: Text = ""
    #: The letters in a symbol: "BQL", "CV-SHP".
    abbreviation: Text = ""
    parent: Code | None = None
    parks: tuple[Code, ...] = ()
    segments: tuple[Code, ...] = ()
    tax_code: Text = ""
    address: Text = ""
    place: Text = ""
    contacts: tuple[Contact, ...] = ()
    signers: tuple[Person, ...] = ()
    #: The standing written authority under which its letter is passed on at its acknowledgement.
    standing_authority: Text = ""
    valid_from: Day | None = None
    valid_until: Day | None = None
    invented: bool = False


class Register(Record):
    """A whole registry, or part of one, as it was read: unique codes, every reference resolved."""

    organisations: tuple[Organisation, ...]
    parks: tuple[Park, ...] = ()
    #: Of organisations and of parks, by code: the fields of which the file had no column, and contacts or signers of
    #: which it had no row. Silence is no order to erase what is known; an empty cell is.
    untold: dict[str, tuple[str, ...]] = {}
    untold_parks: dict[str, tuple[str, ...]] = {}


# ---------------------------------------------------------------------------- policy and cascade


class Urgency(StrEnum):
    """Độ khẩn (NĐ 30/2020 Phụ lục I, mục III.2b; edXML Priority 0–4)."""

    NORMAL = "normal"
    URGENT = "urgent"
    VERY_URGENT = "very_urgent"
    FLASH = "flash"
    FLASH_TIMED = "flash_timed"

    @property
    def passes_quiet_hours(self) -> bool:
        """Khẩn and above leave at once (NĐ 30/2020 Điều 18.1)."""
        return self is not Urgency.NORMAL


class Settles(StrEnum):
    """What a recipient has to do for its obligation to be settled."""

    ACKNOWLEDGE = "acknowledge"
    FORWARD = "forward"
    COMPLETE = "complete"


class Release(StrEnum):
    """When the hop below a recipient opens."""

    ON_FORWARD = "on_forward"
    ON_ACKNOWLEDGE = "on_acknowledge"
    AT_ONCE = "at_once"
    AT_DEADLINE = "at_deadline"


class OnSilence(StrEnum):
    """What happens to those below a recipient that stays silent past deadline and grace."""

    ESCALATE = "escalate"
    BYPASS = "bypass"


class Deadline(Record):
    """A term: `working_days` after the issue, or `hours` where days are too long (hỏa tốc)."""

    working_days: int = Field(5, ge=0, le=250)
    hours: int = Field(0, ge=0, le=240)
    at: Wall = time(17, 0)
    #: Least time of one who is reached after half of the term has passed.
    minimum_working_days: int = Field(3, ge=0, le=250)
    minimum_hours: int = Field(0, ge=0, le=240)
    calendar: Literal["state", "enterprise", "both"] = "both"


class Reminder(Record):
    """A soft reminder (nhắc việc): `working_days` from the deadline's day (negative = before), at `at`;
    or, where `hours` is set, that many hours from the deadline's instant."""

    working_days: int = Field(0, ge=-60, le=60)
    at: Wall = time(8, 0)
    hours: int | None = Field(None, ge=-240, le=240)


class Rung(Record):
    """One step of the ladder of escalation: whom to tell, how long after the rung before it.

    also: who gets the same mail. template: digest (the department's), leader (its leaders'), or report: then
    nobody is told by mail, and a Báo cáo to whoever gave the directive is prepared for the clerk.
    """

    to: Code
    also: tuple[Code, ...] = ()
    after_working_days: int = Field(0, ge=0, le=60)
    after_hours: int = Field(0, ge=0, le=240)
    template: Literal["digest", "leader", "report"] = "digest"


class Urging(Record):
    """The formal công văn đôn đốc: one for all who are silent, at most `rounds` of them in a campaign.

    deadline: its last date (hạn chót), from the day on which it is drafted; the next round waits for it.
    """

    deadline: Deadline = Deadline(working_days=3)
    rounds: int = Field(2, ge=0, le=9)


class Policy(Record):
    """How one level is held to its answer. Frozen into the campaign at launch."""

    deadline: Deadline = Deadline()
    reminders: tuple[Reminder, ...] = (
        Reminder(working_days=-2),
        Reminder(working_days=0),
        Reminder(working_days=1),
    )
    grace_working_days: int = Field(1, ge=0, le=60)
    grace_hours: int = Field(0, ge=0, le=240)
    settles: Settles = Settles.ACKNOWLEDGE
    release: Release = Release.ON_FORWARD
    on_silence: OnSilence = OnSilence.ESCALATE


class Recipients(Record):
    """Who stands below an issuer.

    all            every organisation of the level
    children       those whose `parent` is the issuer
    parks          those in a park whose investor is the issuer
    outside_parks  those of the level in no park
    """

    level: Code
    who: Literal["all", "children", "parks", "outside_parks"] = "all"
    policy: Policy = Policy()


class Issue(StrEnum):
    """How the letter of a hop comes to be a document."""

    TAKEN_IN = "taken_in"  # the issuer's own document, as it came; a processing slip is rendered for the recipient
    SIGNED = "signed"  # an authority's letter: drafted, signed, numbered and issued by the clerk
    COMPANY = "company"  # a company's letter: prepared, completed and passed on by the company


class HopRule(Record):
    """One tier of the cascade: an issuer's level, its recipients and its letter."""

    issuer: Code
    recipients: tuple[Recipients, ...] = Field(min_length=1)
    template: Code
    issue: Issue
    #: "{number}/CV-{abbreviation}"; {abbreviation} is the issuer's. Empty: the letter bears no number.
    symbol: Text = ""
    #: Who has a letter in hand that awaits its issue, and is chased for it (codes of organisations).
    issue_by: tuple[Code, ...] = ()


class Cascade(Record):
    """The chain as data: levels from the top, the hops between them, the ladder of escalation."""

    name: Line
    levels: dict[Code, Line]
    root: Code
    hops: tuple[HopRule, ...] = Field(min_length=1)
    ladder: tuple[Rung, ...] = Field(min_length=1)
    urging: Urging = Urging()
    #: Who the engine speaks for in From and in the ladder: the code of an organisation.
    speaks_for: Code
    #: The organisation that is told the result at the end.
    reports_to: Code
    #: The unit that drafts and looks after the campaign; exempt from answering its own letter.
    drafting_unit: Code | None = None

    def rule_of(self, issuer_level: str) -> HopRule | None:
        """The hop that organisations of this level issue, or None at the bottom."""
        return next((hop for hop in self.hops if hop.issuer == issuer_level), None)


# ---------------------------------------------------------------------------- the plan


#: Số: digits, at most one letter after them; no document has the number 0.
NUMBER = r"^0{0,5}[1-9][0-9]{0,5}[a-zđ]?$"
#: Ký hiệu: capitals at first, small letters as in TTr, QyĐ (NĐ 30/2020 Phụ lục III), TTg, TƯ.
NOTATION = r"^[A-ZÂĂĐÊÔƠƯ][A-ZÂĂĐÊÔƠƯa-zâăđêôơư0-9&._/()-]*$"


def padded(number: str) -> str:
    """A number below 10 gets a leading zero: "5" → "05" (NĐ 30/2020 Phụ lục I, mục II.3); letters after it stay."""
    digits = re.match(r"\d+", number)
    if digits is None:
        return number
    return f"{int(digits[0]):02d}{number[digits.end() :]}"


class Directive(Record):
    """A document from above that this campaign implements.

    number, notation, issued_on, issuer, subject and SignerInfo follow NĐ 30/2020 Phụ lục VI.
    """

    number: Annotated[str, Field(pattern=NUMBER, max_length=11)]
    notation: Annotated[str, Field(pattern=NOTATION, max_length=30), BeforeValidator(nfc)]
    issued_on: Day
    issuer: Annotated[str, BeforeValidator(nfc), Field(min_length=1, max_length=200)]
    #: Whose instruction it carries: "chỉ đạo của ‹authority› tại văn bản số …".
    authority: Text = ""
    kind: Text = "Văn bản"
    subject: Line
    #: Files of the document, relative to the plan; a demo or exercise without any encloses a placeholder page.
    files: tuple[str, ...] = ()
    #: Số đến and ngày đến at the first recipient's (NĐ 30/2020 Phụ lục IV).
    arrival_number: Annotated[str, Field(pattern=r"^[0-9]{0,10}$")] = ""
    arrived_on: Day | None = None

    @property
    def code(self) -> str:
        """Số/ký hiệu: "05/UBND-VX"."""
        return f"{padded(self.number)}/{self.notation}"


class LetterText(Record):
    """The words of the letter of one hop that differ from campaign to campaign.

    Every text is a Jinja2 HTML fragment of the small vocabulary (p, ul, ol, li, b, i, u, table, a, br).
    """

    subject: Line
    addressees: tuple[Line, ...] = Field(min_length=1)
    opening: Text
    lead: Text = ""
    requests: tuple[Text, ...] = ()
    #: Between brackets, to those who have somebody below them.
    note_to_intermediaries: Text = ""
    closing: Text = ""
    #: The paragraph that asks for an answer and names the date: {deadline} is filled in.
    confirmation: Text = ""
    distribution: tuple[Line, ...] = ()
    signer: Person
    place: Line


class SegmentDuty(Record):
    """A sentence of the letter that binds one segment only, confirmed with a tick of its own."""

    segment: Code
    sentence: Text
    tick: Line


class CopyTo(Record):
    """One who stands in Nơi nhận and not in Kính gửi: gets the issued letter for information."""

    organisation: Code
    purpose: Text = ""


class Audience(Record):
    """Who of the registry this campaign reaches. Empty tuples select everybody."""

    levels: tuple[Code, ...] = ()
    parks: tuple[Code, ...] = ()
    #: Zones of the registry, by name: every park in one of them.
    zones: tuple[Line, ...] = ()
    segments: tuple[Code, ...] = ()
    include: tuple[Code, ...] = ()
    exclude: tuple[Code, ...] = ()


class Changes(Record):
    """What recipients are told of, and asked for again, when something changes under way."""

    #: Who confirmed a letter confirms the one that replaces it, too.
    confirm_replacement: bool = True
    #: A deadline that a new calendar moves is told to those concerned.
    tell_of_calendar: bool = False


class CampaignPlan(Record):
    """What an operator launches. Prefect draws its form from this model."""

    code: Code
    title: Line
    urgency: Urgency = Urgency.NORMAL
    directives: tuple[Directive, ...] = Field(min_length=1)
    letter: LetterText
    #: Letters of hops below the first written one, by issuer level, where they differ from their template.
    copies: tuple[CopyTo, ...] = ()
    segment_duties: tuple[SegmentDuty, ...] = ()
    audience: Audience = Audience()
    #: By recipient level; what is not named here keeps the cascade's policy.
    policies: dict[Code, Policy] = {}
    #: What the report of a recipient level has to say, field by field; its policy asks for `complete`.
    questions: dict[Code, tuple[Question, ...]] = {}
    secrecy: Text = ""
    changes: Changes = Changes()

    @model_validator(mode="after")
    def refuse_secrets(self) -> Self:
        """Classified documents never travel by this engine (NĐ 30/2020 Điều 15.2, 16.3, 22.4)."""
        if self.secrecy and re.search(r"\bM[ẬA]T\b", self.secrecy.upper()):
            raise ValueError("văn bản mật không được gửi qua hệ thống này; chuyển theo đường văn thư mật")
        return self
