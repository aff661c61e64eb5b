"""What stops a launch beside `plan_check`: errors of form, signers out of their dates, files that are secret, letters
that could not be printed or numbered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date

from sqlalchemy import select

from congvan.acts import registry, validity
from congvan.acts.launches import Launch, plan_sha256
from congvan.acts.signed_files import refuse_secret_file
from congvan.check_ground import line_of
from congvan.errors import BadInput, Fault
from congvan.house import House
from congvan.letters import faces, rehearsal
from congvan.letters.lint import Remark, lint
from congvan.letters.sheet import Sheet
from congvan.plan_check import check
from congvan.registry.columns import ORGANISATIONS
from congvan.rules.calendar import local
from congvan.rules.cascade import Route, route
from congvan.rules.records import Cascade, Issue, Organisation, Register
from congvan.store.tables import Campaign
from congvan.upstream import at_hand

#: Shows what does not stop a launch.
Warn = Callable[[Remark], None]


async def refuse_faulty(house: House, order: Launch, text: str, warn: Warn | None = None) -> None:
    """Raise BadInput with everything that keeps this plan from being launched; show the warnings.

    text: the plan's file as it was written. A plan that runs already is not looked at again: what it says
    is frozen.
    """
    now = await house.clock.now()
    async with house.store.view() as ledger:
        known = await ledger.first(select(Campaign.plan_sha256).where(Campaign.code == order.plan.code))
        if known == plan_sha256(order.plan):
            return
        register = await registry.read(ledger)
    today = local(now).date()
    remarks = lint(order.plan, order.cascade, text)
    torn = check(
        order.plan, order.cascade, register, now, order.folder,
        exercise=order.mode != "live", file=order.source, lines=order.lines, cascade_file=order.cascade_source,
    )  # fmt: skip
    # Only a chain that hangs together has a route.
    frozen = None if torn else route(register, order.cascade, order.plan, today)
    found = [
        *torn,
        *of_form(remarks, order.source, order.lines),
        *validity.check(order.plan, order.cascade, register, today, file=order.source, lines=order.lines),
        *_secrets(order),
        *(_nameless(order.cascade, register, frozen) if frozen else ()),
    ]
    found = found or list(_unprintable(house, order))
    faults = list({(one.file, one.field, one.message): one for one in found}.values())
    if faults:
        raise BadInput(faults)
    assert frozen is not None, "a plan without a route has faults"
    known = {one.code: one for one in register.organisations}
    reached = [known[code] for code in sorted(frozen.recipients())]
    for remark in [*remarks, *(one for who in reached for one in _of_recipient(who, today))]:
        if warn is not None:
            warn(remark)


def _of_recipient(one: Organisation, today: date) -> Iterator[Remark]:
    """Warnings of an organisation that no mail reaches today: it would be address work from the start, never counted
    as silent; and of one whose name no letter can print as it stands."""
    if not registry.mailboxes(one, today):
        yield Remark(
            "mailbox", "audience", f"{one.name} ({one.code}) không có hộp thư còn hiệu lực",
            "thêm hộp thư ở bảng «Đầu mối» của danh bạ; nếu không, phải liên hệ bằng cách khác", "warning",
        )  # fmt: skip
    if letters := faces.unshown(one.name):
        yield Remark(
            "typeface", "audience", f"tên của {one.code} có chữ không in được: «{letters}»",
            "ghi tên bằng chữ Latinh trong danh bạ", "warning",
        )  # fmt: skip


def of_form(remarks: Iterable[Remark], source: str, lines: Mapping[str, int]) -> Iterator[Fault]:
    """The errors among these remarks as faults of the file that was linted."""
    for one in remarks:
        if one.severity == "error":
            yield Fault(source, one.place, f"{one.message} [{one.rule}]", one.remedy, line_of(one.place, lines))


def _nameless(cascade: Cascade, register: Register, frozen: Route) -> Iterator[Fault]:
    """Issuers of whom the registry does not know the letters that stand in a symbol: «12/CV-», and «05/BC-» at the
    end, since the report of whoever the engine speaks for is always numbered with them."""
    known = {one.code: one for one in register.organisations}
    rules = {hop.issuer: cascade.rule_of(hop.level) for hop in frozen.hops}
    wanted = [code for code, rule in rules.items() if rule is not None and "{abbreviation}" in rule.symbol]
    heading = ORGANISATIONS.heading("abbreviation")
    for code in dict.fromkeys([cascade.speaks_for, *wanted]):
        if not known[code].abbreviation:
            yield Fault(
                "danh bạ", heading, f"{known[code].name} ({code}) chưa có chữ viết tắt dùng trong số, ký hiệu văn bản",
                f"điền cột «{heading}» ở bảng «{ORGANISATIONS.sheet}» của danh bạ",
            )  # fmt: skip


def _unprintable(house: House, order: Launch) -> Iterator[Fault]:
    """Hops whose letter could never be drafted: no such template, or one that asks for what no letter has."""
    for number, rule in enumerate(order.cascade.hops, 1):
        names = rehearsal.context(order.plan, below=_below_an_authority(order.cascade, rule.issuer))
        try:
            house.press.render(Sheet(template=rule.template, issuer=order.cascade.name, context=names))
        # An authority's own template may ask Jinja for anything, and that fails in ever new ways.
        except Exception as error:
            message, remedy = rehearsal.explain(error)
            field = f"hops[{number}].template"
            yield Fault(order.cascade_source, field, f"mẫu «{rule.template}»: {message}", remedy)


def _below_an_authority(cascade: Cascade, level: str) -> bool:
    """Whether somewhere above this level an authority signs a letter, which those below cite."""
    above = [rule for rule in cascade.hops if any(who.level == level for who in rule.recipients)]
    return any(rule.issue is Issue.SIGNED or _below_an_authority(cascade, rule.issuer) for rule in above)


def _secrets(order: Launch) -> Iterator[Fault]:
    """Documents from above that are marked MẬT in their own text, as far as it can be read."""
    for directive in order.plan.directives:
        for name in directive.files:
            try:
                path = at_hand(order.folder, name)
                if path is not None:
                    refuse_secret_file(path.read_bytes(), name)
            except BadInput as error:
                yield from error.faults
            except (OSError, ValueError):
                continue  # found by `plan_check`
