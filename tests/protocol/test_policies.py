"""Policies that cannot work are refused with the line of the plan: at the launch, and by `congvan lint` before it."""

from __future__ import annotations

from pathlib import Path

import pytest

from congvan.acts import registry
from congvan.almanac import CalendarFile
from congvan.errors import BadInput
from congvan.launching import launch_file
from congvan.plan_check import check_cascade
from congvan.policy_check import check_policies
from congvan.reading import lines_of, read_cascade, read_plan, read_record
from tests.conftest import ROOT, at
from tests.protocol.world import CASCADE, Town, register

NOW = at("2023-12-01")
SHIPPED = (ROOT / "config" / "campaigns" / "8184.yaml").read_text("utf-8")
#: What is wrong → the policies that a plan writes, and words of the fault.
IMPOSSIBLE = {
    "a term in hours that gives no time to who is reached late": (
        "tenant: {deadline: {working_days: 0, hours: 6}}", "minimum_hours",
    ),
    "a reminder before the letter": (
        "tenant: {deadline: {working_days: 3}, reminders: [{working_days: -4}]}", "trước khi gửi văn bản",
    ),
    "a reminder after those above were told": (
        "tenant: {reminders: [{working_days: 3}], grace_working_days: 1}", "sau khi đã báo cáo lên trên",
    ),
    "a company's letter that leaves without the company": (
        "investor: {settles: forward, release: at_once}", "doanh nghiệp chưa chuyển tiếp",
    ),
    "a company's letter that leaves at the deadline": (
        "investor: {settles: forward, release: at_deadline}", "doanh nghiệp chưa chuyển tiếp",
    ),
    "an issuer that is done before those below have anything": (
        "investor: {settles: acknowledge, release: on_forward}", "cấp dưới chờ mãi",
    ),
}  # fmt: skip


def written(folder: Path, policies: str) -> Path:
    """The shipped plan with other policies."""
    head, _, _tail = SHIPPED.partition("\npolicies:\n")
    path = folder / "plan.yaml"
    path.write_text(f"{head}\npolicies:\n  {policies}\n", "utf-8")
    return path


@pytest.mark.parametrize("kind", IMPOSSIBLE)
def test_an_impossible_policy_is_found_with_its_line(kind: str, tmp_path: Path) -> None:
    policies, words = IMPOSSIBLE[kind]
    path = written(tmp_path, policies)
    plan, _ = read_plan(path)
    (fault,) = check_policies(plan, CASCADE, file=str(path), lines=lines_of(path))
    assert words in fault.message
    assert fault.row == path.read_text("utf-8").splitlines().index(f"  {policies}") + 1
    assert fault.remedy


async def test_the_launch_refuses_what_the_lint_finds(town: Town, tmp_path: Path) -> None:
    await registry.take_over(town.house, register())
    path = written(tmp_path, IMPOSSIBLE["a company's letter that leaves at the deadline"][0])
    with pytest.raises(BadInput, match="doanh nghiệp chưa chuyển tiếp"):
        await launch_file(town.house, path, mode="exercise", by="An")
    assert await town.campaigns() == []


@pytest.mark.parametrize("name", ["8184", "bao-so-5"])
def test_the_shipped_plans_and_the_shipped_chain_can_work(name: str) -> None:
    path = ROOT / "config" / "campaigns" / f"{name}.yaml"
    assert check_policies(read_plan(path)[0], CASCADE, file=name, lines={}) == []
    assert check_cascade(CASCADE, register(), NOW, file="cascade.yaml") == []


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("grace_working_days: 1", "grace_working_days: -1", "grace_working_days"),
        ("  - to: PTB\n", "  - to:\n", "ladder[2].to"),
        ("template: leader", "template: telegram", "ladder[2].template"),
    ],
)
def test_a_chain_with_an_escalation_before_the_deadline_or_an_empty_rung_is_refused_with_its_line(
    old: str, new: str, field: str, tmp_path: Path
) -> None:
    text = (ROOT / "config" / "cascade.yaml").read_text("utf-8")
    assert old in text
    path = tmp_path / "cascade.yaml"
    path.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(BadInput) as error:
        read_cascade(path)
    assert any(field in fault.field and fault.row for fault in error.value.faults)


def test_a_rung_that_nobody_reads_stops_the_launch() -> None:
    ladder = (CASCADE.ladder[0].model_copy(update={"also": ("TB",)}), *CASCADE.ladder[1:])
    cascade = CASCADE.model_copy(update={"ladder": ladder})
    people = register(PTB={"contacts": ()}, TB={"contacts": ()})
    found = {fault.field for fault in check_cascade(cascade, people, NOW, file="cascade.yaml")}
    assert {"ladder[2].to", "ladder[1].also"} <= found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('office_hours: {opens: "17:30", closes: "07:30"}\n', "không bao giờ mở"),
        ("quiet:\n  - {from: 2024-02-15, to: 2024-02-05, why: Tết}\n", "«to» phải từ ngày «from»"),
    ],
)
def test_an_office_that_never_opens_and_a_window_that_ends_before_it_begins_are_refused(
    text: str, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "calendar.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(BadInput, match=words):
        read_record(path, CalendarFile)
