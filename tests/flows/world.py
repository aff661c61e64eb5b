"""A small chain for the tests with real processes: a city, a board, units and one investor with tenants.

It is a flash directive in an exercise, so nothing waits for office hours or for a clerk.
"""

from __future__ import annotations

from datetime import date

from congvan.rules.records import (
    CampaignPlan,
    Cascade,
    Contact,
    Deadline,
    Directive,
    HopRule,
    Issue,
    LetterText,
    Organisation,
    Park,
    Person,
    Policy,
    Recipients,
    Register,
    Release,
    Rung,
    Settles,
    Urgency,
)

_HOURS = Deadline(hours=48, minimum_hours=24)


def register(units: int = 3, tenants: int = 5) -> Register:
    """CITY → BOARD → unit-1…, INV → tenant-1… in one park."""

    def one(code: str, level: str, **more: object) -> Organisation:
        box = Contact(email=f"vanthu@{code.lower()}.example", order=1)
        return Organisation.model_validate(
            {"code": code, "name": f"Tổ chức {code}", "level": level, "abbreviation": code, "contacts": (box,)} | more
        )

    return Register(
        organisations=(
            one("CITY", "city"),
            one("BOARD", "board", parent="CITY", place="Thành phố"),
            one("DESK", "unit", parent="BOARD"),
            *(one(f"UNIT-{n:03}", "unit", parent="BOARD") for n in range(1, units + 1)),
            one("INV", "investor", parent="BOARD", signers=(Person(name="Lê Văn Mẫu", position="GIÁM ĐỐC"),)),
            *(one(f"TEN-{n:03}", "tenant", parks=("P",)) for n in range(1, tenants + 1)),
        ),
        parks=(Park(code="P", name="KCN Mẫu", investor="INV"),),
    )


def cascade() -> Cascade:
    """Three hops; everything counts in hours."""
    forward = Policy(deadline=_HOURS, reminders=(), settles=Settles.FORWARD)
    simple = Policy(deadline=_HOURS, reminders=())
    take_in = Policy(deadline=_HOURS, reminders=(), release=Release.ON_ACKNOWLEDGE)
    return Cascade(
        name="Chuỗi thử",
        levels={
            "city": "Thành phố", "board": "Ban", "unit": "Đơn vị", "investor": "Chủ đầu tư", "tenant": "Doanh nghiệp",
        },
        root="city",
        hops=(
            HopRule(
                issuer="city", template="slip", issue=Issue.TAKEN_IN,
                recipients=(Recipients(level="board", policy=take_in),),
            ),
            HopRule(
                issuer="board", template="board", issue=Issue.SIGNED, symbol="{number}/BOARD-DESK",
                recipients=(Recipients(level="unit", policy=simple), Recipients(level="investor", policy=forward)),
            ),
            HopRule(
                issuer="investor", template="investor", issue=Issue.COMPANY, symbol="{number}/CV-{abbreviation}",
                recipients=(Recipients(level="tenant", who="parks", policy=simple),),
            ),
        ),
        ladder=(Rung(to="DESK"),),
        speaks_for="BOARD",
        reports_to="CITY",
        drafting_unit="DESK",
    )  # fmt: skip


def plan(code: str = "T1") -> CampaignPlan:
    """A flash directive with one request."""
    return CampaignPlan(
        code=code,
        title="Thử",
        urgency=Urgency.FLASH,
        directives=(
            Directive(
                number="12", notation="UB-VP", issued_on=date(2026, 11, 20), issuer="Thành phố", subject="việc thử",
            ),
        ),
        letter=LetterText(
            subject="triển khai việc thử", addressees=("Các đơn vị",), opening="Thực hiện văn bản số 12/UB-VP.",
            requests=("Thực hiện nghiêm túc.",), place="Thành phố",
            confirmation="Đề nghị các đơn vị xác nhận trước {deadline}./.", distribution=("Như trên", "Lưu: VT, DESK"),
            signer=Person(name="Nguyễn Văn Mẫu", position="TRƯỞNG BAN"),
        ),
    )  # fmt: skip
