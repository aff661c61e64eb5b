"""Working days, terms, office hours and quiet windows, against an oracle that looks at the moon."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from congvan.almanac import CalendarFile, build, read_calendar_file
from congvan.errors import BadInput
from congvan.rules.calendar import Calendar, Calendars, NoWorkingDay, both, instant, local
from tests.conftest import ROOT, at
from tests.protocol import oracle

DAYS = st.dates(date(2020, 3, 1), date(2030, 6, 30))
SHIPPED = build(read_calendar_file(ROOT / "config" / "calendar.yaml"))
QUICK = settings(max_examples=200, deadline=None)


def day(text: str) -> date:
    """ "4/5/2024" as a date."""
    return date(*reversed([int(part) for part in text.split("/")]))


# ------------------------------------------------------------------------------------ days


@pytest.mark.parametrize(
    ("year", "tet", "kings"),
    [
        (2020, "25/1/2020", "2/4/2020"), (2021, "12/2/2021", "21/4/2021"), (2022, "1/2/2022", "10/4/2022"),
        (2023, "22/1/2023", "29/4/2023"), (2024, "10/2/2024", "18/4/2024"), (2025, "29/1/2025", "7/4/2025"),
        (2026, "17/2/2026", "26/4/2026"), (2030, "2/2/2030", "12/4/2030"),
    ],
)  # fmt: skip
def test_the_oracle_finds_tet_and_the_hung_kings_by_the_moon(year: int, tet: str, kings: str) -> None:
    assert oracle.lunar_month(year, 1) == day(tet)
    assert oracle.lunar_month(year, 3) + 9 * oracle.DAY == day(kings)


@pytest.mark.parametrize("year", range(2020, 2031))
@pytest.mark.parametrize("name", ["state", "enterprise", "both"])
def test_every_day_of_a_year_is_worked_or_not_as_the_oracle_says(name: str, year: int) -> None:
    calendar = SHIPPED.named(name)
    days = [date(year, 1, 1) + n * oracle.DAY for n in range(366) if (date(year, 1, 1) + n * oracle.DAY).year == year]
    wrong = [one.isoformat() for one in days if calendar.is_working(one) != oracle.works(name, one)]
    assert wrong == []


def test_the_working_days_of_each_year_are_as_many_as_announced() -> None:
    counted = {
        year: sum(SHIPPED.state.is_working(date(year, 1, 1) + n * oracle.DAY) for n in range(365 + (year % 4 == 0)))
        for year in range(2023, 2028)
    }
    assert counted == {2023: 249, 2024: 251, 2025: 250, 2026: 249, 2027: 249}


@pytest.mark.parametrize(("off", "worked"), list(oracle.SWAPPED.items()))
def test_swapped_days_bind_the_state_and_not_the_enterprises(off: date, worked: date) -> None:
    assert not SHIPPED.state.is_working(off)
    assert SHIPPED.enterprise.is_working(off)
    assert SHIPPED.state.is_working(worked)
    assert not SHIPPED.enterprise.is_working(worked)
    assert not SHIPPED.named("both").is_working(worked)


def test_the_package_alone_does_not_know_the_swap_of_january_2026() -> None:
    # When this fails the package has learnt it, and the two lines of config/calendar.yaml can go.
    bare = build(CalendarFile()).state
    assert bare.is_working(date(2026, 1, 2))
    assert not bare.is_working(date(2026, 1, 10))


def test_days_off_and_office_hours_need_no_quotes(tmp_path: Path) -> None:
    path = tmp_path / "calendar.yaml"
    swapped = "{date: 2026-03-02, kind: off, decision: Thông báo, recorded_on: 2026-01-05}"
    path.write_text(f"office_hours: {{opens: 07:00, closes: 16:30}}\ncorrections:\n  - {swapped}\n", "utf-8")
    state = build(read_calendar_file(path)).state
    assert (state.opens, state.closes) == (time(7), time(16, 30))
    assert not state.is_working(date(2026, 3, 2))


@pytest.mark.parametrize("closes", ['"17:30Z"', "17:30+07:00", "1730"])
def test_office_hours_with_a_zone_or_without_a_colon_are_refused_with_their_file(tmp_path: Path, closes: str) -> None:
    path = tmp_path / "calendar.yaml"
    path.write_text(f"office_hours:\n  closes: {closes}\n", "utf-8")
    with pytest.raises(BadInput, match=r"calendar\.yaml, dòng 2, «office_hours\.closes»"):
        read_calendar_file(path)


def test_a_day_that_is_corrected_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "calendar.yaml"
    rows = [f"  - {{date: 2026-05-04, kind: {kind}, decision: x, recorded_on: 2026-01-05}}" for kind in ("off", "work")]
    path.write_text("\n".join(["corrections:", *rows]), "utf-8")
    with pytest.raises(BadInput, match=r"dòng 3, «corrections\[2\].date».*04/05/2026 đã có ở mục 1"):
        read_calendar_file(path)


def test_a_calendar_that_never_works_is_found_out_at_once() -> None:
    idle = Calendar(lambda _day: False)
    with pytest.raises(NoWorkingDay):
        idle.on_or_after(date(2024, 1, 1))
    with pytest.raises(NoWorkingDay):
        idle.add(date(2024, 1, 1), 1)
    with pytest.raises(NoWorkingDay):
        idle.sending_time(at("2024-01-01"))


def test_another_calendar_than_the_three_is_not_known() -> None:
    with pytest.raises(KeyError):
        SHIPPED.named("church")


# ------------------------------------------------------------------------------------ terms

#: DOMAIN section 4 and DESIGN section 9: the day of the event is not counted.
WORKED_EXAMPLES = [
    ("29/11/2023", 5, "state", "6/12/2023"),
    ("1/12/2023", 5, "state", "8/12/2023"),
    ("28/12/2023", 5, "state", "5/1/2024"),
    ("6/2/2024", 5, "state", "20/2/2024"),
    ("6/2/2024", 5, "both", "20/2/2024"),
    ("26/4/2024", 3, "state", "4/5/2024"),
    ("26/4/2024", 3, "both", "6/5/2024"),
    ("20/8/2026", 3, "state", "24/8/2026"),
    ("20/8/2026", 5, "both", "26/8/2026"),
    ("30/12/2025", 5, "state", "8/1/2026"),
    ("7/1/2026", 3, "state", "10/1/2026"),
    ("7/1/2026", 3, "both", "12/1/2026"),
    ("20/11/2026", 3, "state", "26/11/2026"),
]


@pytest.mark.parametrize(("start", "days", "name", "last"), WORKED_EXAMPLES)
def test_worked_examples(start: str, days: int, name: str, last: str) -> None:
    assert SHIPPED.term(day(start), days, name) == day(last)
    assert oracle.term(day(start), days, name) == day(last)


@pytest.mark.parametrize(("start", "days", "alone"), [("30/12/2025", 5, "7/1/2026"), ("7/1/2026", 3, "12/1/2026")])
def test_the_package_alone_gets_two_of_them_wrong(start: str, days: int, alone: str) -> None:
    assert build(CalendarFile()).term(day(start), days, "state") == day(alone)


@QUICK
@given(DAYS, st.integers(0, 60), st.sampled_from(["state", "enterprise", "both"]))
def test_a_term_ends_where_the_oracle_ends_it(start: date, days: int, name: str) -> None:
    assert SHIPPED.term(start, days, name) == oracle.term(start, days, name)


@QUICK
@given(DAYS, st.integers(0, 60))
def test_no_deadline_of_an_enterprise_falls_on_a_make_up_saturday(start: date, days: int) -> None:
    last = SHIPPED.term(start, days, "both")
    assert last.weekday() < 5
    assert SHIPPED.state.is_working(last)
    assert SHIPPED.enterprise.is_working(last)


@QUICK
@given(DAYS, st.integers(1, 60), st.sampled_from(["state", "enterprise", "both"]))
def test_adding_working_days_and_counting_them_agree(start: date, days: int, name: str) -> None:
    calendar = SHIPPED.named(name)
    assert calendar.count(start, calendar.add(start, days)) == days
    before = calendar.add(start, -days)
    assert calendar.is_working(before)
    assert sum(oracle.works(name, before + n * oracle.DAY) for n in range((start - before).days)) == days


@QUICK
@given(DAYS, st.integers(-20, 90), st.sampled_from(["state", "enterprise", "both"]))
def test_the_terms_that_end_on_a_day_are_those_that_trying_finds(start: date, later: int, name: str) -> None:
    last = start + later * oracle.DAY
    tried = [days for days in range(90) if oracle.term(start, days, name) == last]
    assert list(SHIPPED.terms_to(last, start, name)) == tried


@QUICK
@given(DAYS, DAYS)
def test_counting_backwards_is_counting_forwards_with_the_sign_turned(first: date, last: date) -> None:
    assert SHIPPED.state.count(first, last) == -SHIPPED.state.count(last, first)
    assert SHIPPED.state.count(first, first) == 0


# ------------------------------------------------------------------------------------ office hours


@pytest.mark.parametrize(
    ("now", "leaves"),
    [
        (at("2023-12-01", "08:00"), at("2023-12-01", "08:00")),
        (at("2023-12-01", "07:29"), at("2023-12-01", "07:30")),
        (at("2023-12-01", "07:30"), at("2023-12-01", "07:30")),
        (at("2023-12-01", "17:29"), at("2023-12-01", "17:29")),
        (at("2023-12-01", "17:30"), at("2023-12-04", "07:30")),
        (at("2023-12-02", "10:00"), at("2023-12-04", "07:30")),
        (at("2024-05-04", "10:00"), at("2024-05-04", "10:00")),
        (at("2024-02-02", "18:00"), at("2024-02-16", "07:30")),
        (at("2024-02-05", "09:00"), at("2024-02-16", "07:30")),
        (at("2024-02-15", "09:00"), at("2024-02-16", "07:30")),
    ],
)
def test_routine_mail_leaves_in_office_hours_of_working_days_outside_the_quiet_window(
    now: datetime, leaves: datetime
) -> None:
    assert SHIPPED.state.sending_time(now) == leaves


@pytest.mark.parametrize(
    ("now", "leaves"),
    [
        (at("2024-02-05", "09:00"), at("2024-02-05", "09:00")),
        (at("2024-02-07", "18:00"), at("2024-02-15", "07:30")),
        (at("2024-02-10", "09:00"), at("2024-02-15", "07:30")),
    ],
)
def test_first_letters_leave_on_the_working_days_of_the_quiet_window(now: datetime, leaves: datetime) -> None:
    assert SHIPPED.state.sending_time(now, first_letter=True) == leaves


def test_urgent_mail_leaves_at_midnight_on_new_years_day() -> None:
    now = at("2024-02-10", "00:05")
    assert SHIPPED.state.sending_time(now, urgent=True) == now


def _may_leave(now: datetime, first_letter: bool) -> bool:
    wall = local(now)
    if not oracle.works("both", wall.date()) or not time(7, 30) <= wall.time() < time(17, 30):
        return False
    quiet = [
        (date(2023, 1, 17), date(2023, 1, 27)),
        (date(2024, 2, 5), date(2024, 2, 15)),
        (date(2025, 1, 25), date(2025, 2, 3)),
    ]
    return first_letter or not any(start <= wall.date() <= end for start, end in quiet)


@settings(max_examples=60, deadline=None)
@given(
    oracle.moments(date(2023, 1, 1), date(2025, 6, 1)),
    st.booleans(),
)
def test_mail_leaves_at_the_first_minute_at_which_it_may(now: datetime, first_letter: bool) -> None:
    leaves = SHIPPED.named("both").sending_time(now, first_letter=first_letter)
    assert _may_leave(leaves, first_letter)
    step = timedelta(minutes=30)
    before = now
    while before < leaves:
        assert not _may_leave(before, first_letter)
        before += step


@QUICK
@given(oracle.moments(date(2020, 3, 1), date(2030, 6, 1)))
def test_what_may_leave_may_leave_now(now: datetime) -> None:
    leaves = SHIPPED.state.sending_time(now)
    assert leaves >= now
    assert SHIPPED.state.sending_time(leaves) == leaves


# ------------------------------------------------------------------------------------ instants


def test_the_clock_on_the_wall_is_seven_hours_ahead() -> None:
    assert instant(date(2023, 12, 8), time(17)).isoformat() == "2023-12-08T10:00:00+00:00"
    assert local(instant(date(2023, 12, 8), time(17))).hour == 17
    with pytest.raises(ValueError, match="time zone"):
        local(datetime(2023, 12, 8, 17))  # noqa: DTZ001 - the naive value is the point


def test_both_keeps_the_hours_of_the_first_and_every_quiet_window_once() -> None:
    tet = (date(2024, 2, 5), date(2024, 2, 15))
    first = Calendar(lambda _day: True, time(8), time(17), (tet,))
    second = Calendar(lambda one: one.weekday() < 5, time(7), time(16), (tet, (date(2025, 1, 1), date(2025, 1, 2))))
    joined = both(first, second)
    assert (joined.opens, joined.closes) == (time(8), time(17))
    assert len(joined.quiet) == 2
    assert not joined.is_working(date(2024, 3, 2))


def test_the_shipped_calendar_is_quiet_from_26_chap_to_mung_6() -> None:
    for first, last in SHIPPED.state.quiet:
        tet = oracle.lunar_month(last.year, 1)
        assert first <= tet - timedelta(days=4), first
        assert last >= tet + timedelta(days=5) or not SHIPPED.state.is_working(last + oracle.DAY), last


def test_calendars_are_the_ones_that_the_house_has(calendars: Calendars) -> None:
    assert calendars.term(date(2024, 2, 6), 5) == date(2024, 2, 20)
