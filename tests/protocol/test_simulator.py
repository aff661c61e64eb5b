"""The simulator: the protocol holds in worlds that hate it, the same seed is the same history, and faults are found."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from congvan import simulate as command
from congvan.acts import releasing, waking
from congvan.letters.lint import errors, lint
from congvan.rules import deadlines
from congvan.simulation.faults import CHANCES, Faults
from congvan.simulation.run import Verdict, simulate
from congvan.simulation.shrinking import shrink
from congvan.simulation.world import draw_world
from tests.conftest import python

#: Small worlds: the day has to pass quickly here; `make gates` plays 500 seeds of drawn size.
TENANTS, DAYS = 5, 8
_AGAIN = "from congvan.simulation.run import simulate; v = simulate({}, {}, {}); print(v.sha256, v.steps)"


@pytest.mark.parametrize("seed", range(1, 101))
def test_every_invariant_holds_in_a_world_that_hates_it(seed: int) -> None:
    verdict = simulate(seed, TENANTS, DAYS)
    assert verdict.broken == "", "\n".join([*verdict.history, verdict.broken])
    # What a step writes without a line in a log (a lease, a mail put off) has nothing to be checked: of a mail server
    # that is down for days there is much.
    assert 2 * verdict.checks > verdict.written > 0
    assert sum(verdict.ends.values()) > TENANTS


def kept() -> list[tuple[int, int, int]]:
    """Seeds that have failed once: seed, tenants, days."""
    path = Path(__file__).parents[1] / "data" / "seeds.txt"
    lines = (line.partition("#")[0].split() for line in path.read_text("utf-8").splitlines())
    return [(int(line[0]), int(line[1]), int(line[2])) for line in lines if line]


@pytest.mark.parametrize(("seed", "tenants", "days"), kept())
def test_what_has_failed_once_holds_now(seed: int, tenants: int, days: int) -> None:
    verdict = simulate(seed, tenants, days)
    assert verdict.broken == "", "\n".join([*verdict.history, verdict.broken])


def test_a_seed_is_the_same_history_in_another_process_with_other_hashes() -> None:
    code = _AGAIN.format(5, TENANTS, DAYS)
    runs = [python("-c", code, PYTHONHASHSEED=salt) for salt in ("0", "1")]
    assert [run.returncode for run in runs] == [0, 0], runs[0].stderr + runs[1].stderr
    assert len({run.stdout for run in runs}) == 1
    assert len(runs[0].stdout.split()[0]) == 64


def test_the_words_of_a_played_world_could_be_launched(tmp_path: Path) -> None:
    # Or every replacement of its letter would be refused, and none be played.
    for _, order in draw_world(1, TENANTS, DAYS, tmp_path).launches:
        assert errors(lint(order.plan, order.cascade)) == []


def test_faults_really_happen() -> None:
    verdict = simulate(4, TENANTS, DAYS, malice=4)
    assert verdict.broken == "", "\n".join([*verdict.history, verdict.broken])
    assert len(verdict.faults) >= 10, sorted(set(CHANCES) - set(verdict.faults))


def found(most_seeds: int, said: str = "", **more: int) -> Verdict:
    """The first seed of few that breaks, and of which the finding says this."""
    for seed in range(1, most_seeds + 1):
        verdict = simulate(seed, TENANTS, DAYS, **more)
        if verdict.broken and said in verdict.broken:
            return verdict
    pytest.fail(f"{most_seeds} seeds did not find it")


def test_an_escalation_one_day_early_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = deadlines.escalates_at
    monkeypatch.setattr(deadlines, "escalates_at", lambda *given: right(*given) - timedelta(days=1))
    verdict = found(5)
    assert "escalated before deadline and grace" in verdict.broken
    assert 0 < len(verdict.history) <= 40


def test_an_opening_that_does_not_ask_for_its_release_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def always(*_given: object) -> bool:
        return True

    monkeypatch.setattr(releasing, "released", always)
    assert found(10, "opened before its release")


def test_a_forgotten_wake_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_given: object) -> None:
        return None

    monkeypatch.setattr(waking, "next_wake", never)
    assert "wake forgotten" in found(5).broken


def test_a_failing_seed_is_shrunk_to_the_faults_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    right = deadlines.escalates_at
    monkeypatch.setattr(deadlines, "escalates_at", lambda *given: right(*given) - timedelta(days=1))
    assert shrink(found(5), DAYS) == []  # a wrong rule needs no fault


def test_a_fault_keeps_its_number_when_others_are_taken_out() -> None:
    everything = Faults(seed=3, malice=8)
    first = [everything.happens("not now") for _ in range(50)]
    kept = everything.happened[::2]
    again = Faults(seed=3, malice=8, only=set(kept))
    assert sum(again.happens("not now") for _ in range(50)) == len(kept) < sum(first)
    assert again.happened == kept


def test_the_command_says_how_it_ended(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert command.main(7, TENANTS, DAYS, True) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["ok"]
    assert len(said["sha256"]) == 64
    assert {"steps", "days", "checks", "faults", "counts", "ends"} <= set(said)
    right = deadlines.escalates_at
    monkeypatch.setattr(deadlines, "escalates_at", lambda *given: right(*given) - timedelta(days=1))
    broken = found(5)
    assert command.main(broken.seed, TENANTS, DAYS) == 1
    spoken = capsys.readouterr().err
    assert broken.broken in spoken
    assert f"--seed {broken.seed}" in spoken
