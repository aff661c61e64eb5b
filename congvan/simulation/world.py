"""The seeded world: an invented register, a chain, a plan, and when it all begins."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from random import Random

from congvan.acts.launches import Launch
from congvan.rules.calendar import instant
from congvan.rules.records import (
    CampaignPlan,
    Cascade,
    Contact,
    CopyTo,
    Deadline,
    Directive,
    HopRule,
    Issue,
    LetterText,
    OnSilence,
    Organisation,
    Park,
    Person,
    Policy,
    Recipients,
    Register,
    Release,
    Reminder,
    Rung,
    SegmentDuty,
    Settles,
    Urgency,
)
from congvan.rules.requirements import Kind, Question
from congvan.simulation.faults import stream
from congvan.simulation.parts import calendars

UPSTREAM = "van-ban-cap-tren.pdf"
SEGMENT = "kho-lanh"
#: Of the Board, whose own letter is signed: a company's never leaves without its act.
_RELEASES = (Release.ON_ACKNOWLEDGE,) * 4 + (Release.AT_ONCE, Release.AT_DEADLINE)


@dataclass(frozen=True)
class World:
    """What a seed draws before anything happens. starts: the first launch, in office hours."""

    seed: int
    register: Register
    launches: tuple[tuple[datetime, Launch], ...]
    starts: datetime
    days: int

    @property
    def ends(self) -> datetime:
        """When the faults stop and the world becomes calm."""
        return self.starts + timedelta(days=self.days)


def draw_world(seed: int, tenants: int, days: int, folder: Path) -> World:
    """The world of a seed. folder: where the files of the directives are written."""
    chance = stream(seed, "world")
    (folder / UPSTREAM).write_bytes(b"%PDF-1.4 invented\n%%EOF")
    day = date(2022, 11, 20) + timedelta(days=chance.randrange(3 * 365 + 100))
    day = calendars().state.on_or_after(day)
    starts = instant(day, time(chance.randrange(8, 16), chance.randrange(60)))
    register = _register(chance, tenants)
    cascade = _cascade(chance, stream(seed, "release").choice(_RELEASES))
    launches = []
    for number in range(1 if chance.random() < 0.75 else 2):
        at = starts + timedelta(hours=number * chance.randrange(1, 24 * 6))
        mode = "live" if chance.random() < 0.6 else "exercise"
        launches.append((at, Launch(_plan(chance, number, day), cascade, mode, "Người phụ trách", folder)))
    return World(seed, register, tuple(launches), starts, days)


# ------------------------------------------------------------------------------------ the register


def _register(chance: Random, tenants: int) -> Register:
    investors = chance.randint(1, 4)
    parks = [
        Park(code=f"KHU-{number}", name=f"Khu Mẫu {number}", investor=f"CDT-{number % investors + 1}", invented=True)
        for number in range(investors + chance.randint(0, 2))
    ]
    companies = [_tenant(chance, number, parks) for number in range(1, tenants + 1)]
    organisations = [*_offices(), *(_investor(chance, n) for n in range(1, investors + 1)), *companies]
    return Register(organisations=tuple(organisations), parks=tuple(parks))


def _offices() -> list[Organisation]:
    return [
        _office("TINH", "Tỉnh Mẫu", "province"),
        _office("BAN", "Ban Mẫu", "board", parent="TINH"),
        _office("PHONG", "Phòng Mẫu", "unit", parent="BAN"),
        _office("DOI", "Đội Mẫu", "unit", parent="BAN"),
        _office("VT", "Văn thư Mẫu", "desk", parent="BAN"),
        _office("PHO", "Phó Trưởng ban Mẫu", "desk", parent="BAN"),
    ]


def _office(code: str, name: str, level: str, parent: str | None = None) -> Organisation:
    return Organisation(
        code=code, name=name, level=level, abbreviation=code, parent=parent, place="Tỉnh Mẫu",
        contacts=(Contact(email=f"vt@{code.lower()}.example"),), invented=True,
    )  # fmt: skip


def _investor(chance: Random, number: int) -> Organisation:
    return Organisation(
        code=f"CDT-{number}", name=f"Công ty Hạ tầng Mẫu {number}", level="investor", abbreviation=f"HT{number}",
        contacts=(Contact(email=f"vt@cdt-{number}.example"),),
        signers=(Person(name="Lê Văn Mẫu", position="GIÁM ĐỐC"),),
        standing_authority="Ủy quyền mẫu" if chance.random() < 0.3 else "", invented=True,
    )  # fmt: skip


def _tenant(chance: Random, number: int, parks: list[Park]) -> Organisation:
    kind = chance.random()
    where = [] if kind < 0.15 else chance.sample(parks, 2 if kind > 0.85 and len(parks) > 1 else 1)
    boxes = ("vt", "hc", "gd")[: chance.choice([1, 1, 1, 2, 3])]
    contacts = tuple(Contact(email=f"{box}@dn-{number:03}.example", order=n) for n, box in enumerate(boxes, 1))
    contacts = contacts if chance.random() > 0.02 else ()
    return Organisation(
        code=f"DN-{number:03}", name=f"Doanh nghiệp Mẫu {number}", level="tenant",
        parks=tuple(park.code for park in where), segments=(SEGMENT,) if chance.random() < 0.15 or number == 1 else (),
        contacts=contacts, invented=True,
    )  # fmt: skip


# ------------------------------------------------------------------------------------ the chain


def _cascade(chance: Random, release: Release) -> Cascade:
    hops = (
        HopRule(
            issuer="province", template="slip", issue=Issue.TAKEN_IN,
            recipients=(Recipients(level="board", policy=_board_policy(chance, release)),),
        ),
        HopRule(
            issuer="board", template="board", issue=Issue.SIGNED, symbol="{number}/BM-PM", issue_by=("VT", "PHONG"),
            recipients=(
                Recipients(level="investor", policy=_investor_policy(chance)),
                Recipients(level="tenant", who="outside_parks", policy=_tenant_policy(chance)),
                Recipients(level="unit", policy=_tenant_policy(chance)),
            ),
        ),
        HopRule(
            issuer="investor", template="investor", issue=Issue.COMPANY, symbol="{number}/CV-{abbreviation}",
            recipients=(Recipients(level="tenant", who="parks", policy=_tenant_policy(chance)),),
        ),
    )  # fmt: skip
    ladder = (
        Rung(to="PHONG", after_working_days=0),
        Rung(to="PHO", after_working_days=chance.randint(0, 3)),
        Rung(to="TINH", after_working_days=chance.randint(1, 5), template="report"),
    )
    levels = {
        "province": "Tỉnh", "board": "Ban", "unit": "Phòng", "desk": "Bàn", "investor": "Chủ đầu tư",
        "tenant": "Doanh nghiệp",
    }  # fmt: skip
    return Cascade(
        name="Chuỗi mẫu", levels=levels, root="province", hops=hops,
        ladder=ladder if chance.random() < 0.8 else ladder[:1] + ladder[2:],
        speaks_for="BAN", reports_to="TINH", drafting_unit="PHONG",
    )  # fmt: skip


def _board_policy(chance: Random, release: Release) -> Policy:
    return Policy(
        deadline=Deadline(working_days=chance.randint(1, 2), minimum_working_days=1, calendar="state"),
        reminders=(Reminder(working_days=0), Reminder(working_days=1)),
        release=release, grace_working_days=chance.randint(1, 2),
    )  # fmt: skip


def _investor_policy(chance: Random) -> Policy:
    release = chance.choice([Release.ON_FORWARD] * 5 + [Release.ON_ACKNOWLEDGE])
    return Policy(
        deadline=Deadline(working_days=chance.randint(2, 6)), settles=Settles.FORWARD, release=release,
        on_silence=chance.choice([OnSilence.BYPASS, OnSilence.ESCALATE]), grace_working_days=chance.randint(0, 2),
    )  # fmt: skip


def _tenant_policy(chance: Random) -> Policy:
    return Policy(
        deadline=Deadline(working_days=chance.randint(2, 7), minimum_working_days=chance.randint(1, 4)),
        settles=Settles.COMPLETE if chance.random() < 0.25 else Settles.ACKNOWLEDGE,
        grace_working_days=chance.randint(1, 2),
    )  # fmt: skip


# ------------------------------------------------------------------------------------ the plan

#: What a report has to say, where a plan asks for one.
QUESTIONS = (
    Question(key="drills", title="Số cuộc diễn tập", kind=Kind.NUMBER, min=0),
    Question(key="plan", title="Có phương án", kind=Kind.YES_NO),
)


def _plan(chance: Random, number: int, day: date) -> CampaignPlan:
    urgency = chance.choice([Urgency.NORMAL] * 4 + [Urgency.URGENT, Urgency.FLASH])
    policies = {"investor": _by_the_hour(Settles.FORWARD), "tenant": _by_the_hour(Settles.ACKNOWLEDGE)}
    if urgency is not Urgency.FLASH:
        policies = {}
    asking = urgency is not Urgency.FLASH and chance.random() < 0.3
    if asking:
        policies = {"tenant": _tenant_policy(chance).model_copy(update={"settles": Settles.COMPLETE})}
    return CampaignPlan(
        code=f"dot-{number + 1}", title=f"Đợt mẫu {number + 1}", urgency=urgency,
        directives=(
            Directive(
                number=str(100 + number), notation="TM-VP", issued_on=day, issuer="Tỉnh Mẫu", subject="việc mẫu",
                files=(UPSTREAM,), arrival_number="7", arrived_on=day,
            ),
        ),
        letter=_letter(number),
        copies=(CopyTo(organisation="TINH", purpose="để báo cáo"),) if chance.random() < 0.7 else (),
        segment_duties=(SegmentDuty(segment=SEGMENT, sentence="Kho lạnh kiểm tra thêm.", tick="Đã nhận."),),
        policies=policies,
        questions={"tenant": QUESTIONS} if asking else {},
    )  # fmt: skip


def _by_the_hour(settles: Settles) -> Policy:
    return Policy(
        deadline=Deadline(working_days=0, hours=30, minimum_hours=12),
        reminders=(Reminder(hours=-6), Reminder(hours=-1)), grace_working_days=0, grace_hours=2,
        settles=settles, on_silence=OnSilence.BYPASS,
    )  # fmt: skip


def _letter(number: int) -> LetterText:
    return LetterText(
        subject=f"việc mẫu thứ {number + 1}", addressees=("Các đơn vị",), opening="Thực hiện văn bản mẫu.",
        requests=("Rà soát.", "Báo cáo.", "Kho lạnh kiểm tra thêm."), closing="Đề nghị thực hiện./.",
        confirmation="Đề nghị xác nhận trước {deadline}.", distribution=("Như trên", "Lưu: VT"),
        signer=Person(name="Trần Thị Mẫu", position="TRƯỞNG BAN"), place="Tỉnh Mẫu",
    )  # fmt: skip
