"""Policies that cannot work: reminders that come too early or too late, terms without a least time, releases that a
company never gives, issuers who are done before those below have anything. Pure: looks at the plan and the cascade, not
at the registry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from congvan.check_ground import Ground
from congvan.errors import Fault
from congvan.rules.calendar import instant
from congvan.rules.records import CampaignPlan, Cascade, Issue, Policy, Release, Settles

#: Before every term: whether a date has passed already is for the launch to find.
_NEVER = datetime(2000, 1, 1, tzinfo=UTC)


def check_policies(plan: CampaignPlan, cascade: Cascade, *, file: str, lines: Mapping[str, int]) -> list[Fault]:
    """Every policy of a plan that cannot work in this cascade, whenever it is launched and with whatever registry."""
    return list(of_plan(Ground(file, {}, _NEVER, lines), plan, cascade))


def of_plan(ground: Ground, plan: CampaignPlan, cascade: Cascade) -> Iterator[Fault]:
    """Faults of the plan's own policies."""
    for level, policy in plan.policies.items():
        yield from _policy(ground, f"policies.{level}", policy)
        yield from _chain(ground, f"policies.{level}", level, policy, cascade)


def of_cascade(ground: Ground, cascade: Cascade) -> Iterator[Fault]:
    """Faults of the policies that a cascade brings itself."""
    for number, hop in enumerate(cascade.hops, 1):
        for n, who in enumerate(hop.recipients, 1):
            place = f"hops[{number}].recipients[{n}].policy"
            yield from _policy(ground, place, who.policy)
            yield from _chain(ground, place, who.level, who.policy, cascade)


def _chain(ground: Ground, place: str, level: str, policy: Policy, cascade: Cascade) -> Iterator[Fault]:
    """What the policy of a level does to the hop below it."""
    below = cascade.rule_of(level)
    if below is None:
        return
    if below.issue is Issue.COMPANY and policy.release in (Release.AT_ONCE, Release.AT_DEADLINE):
        yield ground.fault(
            f"{place}.release",
            f"«{policy.release.value}» gửi văn bản đứng tên doanh nghiệp khi doanh nghiệp chưa chuyển tiếp",
            "dùng on_forward; muốn nhanh thì rút ngắn thời hạn và đặt on_silence: bypass",
        )
    if policy.settles is Settles.ACKNOWLEDGE and policy.release is Release.ON_FORWARD:
        yield ground.fault(
            f"{place}.settles",
            "cấp này xong khi tiếp nhận, mà cấp dưới chờ cấp này chuyển tiếp: không ai đôn đốc, cấp dưới chờ mãi",
            "đặt settles: forward, hoặc release khác",
        )


def _policy(ground: Ground, place: str, policy: Policy) -> Iterator[Fault]:
    term = policy.deadline
    if not term.hours and not term.working_days and instant(ground.today, term.at) <= ground.now:
        yield ground.fault(
            f"{place}.deadline",
            f"thời hạn {term.at:%H:%M} hôm nay đã qua",
            "đặt giờ muộn hơn, hoặc thêm ngày làm việc hoặc số giờ",
        )
    if term.hours and not term.minimum_hours:
        yield ground.fault(
            f"{place}.deadline",
            "thời hạn tính theo giờ mà không có minimum_hours: nơi nhận được muộn là quá hạn ngay lúc đó",
            "thêm minimum_hours: số giờ ít nhất dành cho nơi nhận được muộn",
        )
    # The default reminders fit the default term; on another they are passed over without harm.
    if "reminders" in policy.model_fields_set:
        yield from _reminders(ground, place, policy)


def _reminders(ground: Ground, place: str, policy: Policy) -> Iterator[Fault]:
    for number, step in enumerate(policy.reminders, 1):
        field = f"{place}.reminders[{number}]"
        if _before_letter(policy, step.working_days, step.hours):
            yield ground.fault(
                field,
                "lần nhắc này rơi vào trước khi gửi văn bản",
                "nhắc gần thời hạn hơn, hoặc kéo dài thời hạn",
            )
        if _after_escalation(policy, step.working_days, step.hours, step.at.hour + step.at.minute / 60):
            yield ground.fault(
                field,
                "lần nhắc này đến sau khi đã báo cáo lên trên",
                "nhắc sớm hơn, hoặc tăng thời gian chờ (grace)",
            )


def _before_letter(policy: Policy, days: int, hours: int | None) -> bool:
    term = policy.deadline
    if term.hours:
        return -(hours if hours is not None else 24 * days) > term.hours
    # A working day lasts 24 hours on the clock at least, more over a weekend: only the sure cases.
    return -days > term.working_days if hours is None else False


def _after_escalation(policy: Policy, days: int, hours: int | None, at: float) -> bool:
    """True only where it is sure: hours of grace win over days, as in `deadlines.after`."""
    due = policy.deadline.at.hour + policy.deadline.at.minute / 60
    if hours is not None:
        return hours >= policy.grace_hours and bool(policy.grace_hours or not policy.grace_working_days)
    if policy.deadline.hours:
        return days > 0 and 24 * (days - 1) >= policy.grace_hours > 0
    if policy.grace_hours:
        return 24 * days + at - due >= policy.grace_hours
    return (days, at) >= (policy.grace_working_days, due)
