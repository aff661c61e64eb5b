"""The measurements run: each peer and each measure at a tiny size, so that `make bench` cannot rot unseen.

What they find is no matter here; that they count the same letters as the sink is asserted by themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.__main__ import MEASURES
from bench.dispatch import bare, durable, plain, sample
from bench.figures import Growth, Ratio, Section, grown, keep, kept, percentile
from bench.harness import PEERS, Bench, bench
from bench.measures import peers
from bench.outbox_world import ROOT
from bench.report import text
from bench.scale import TINY

pytestmark = pytest.mark.xdist_group("bench")

needs_peers = pytest.mark.skipif(not PEERS.exists(), reason="the peers are not installed: `make bench` does it")


@pytest.fixture(scope="module")
def on() -> Iterator[Bench]:
    """One bench for all."""
    with bench() as made:
        yield made


def test_every_way_on_the_wire_sends_as_many_letters_as_the_sink_counts(on: Bench) -> None:
    payload, letter = sample(on.settings())
    assert bare(on, payload, 20).letters == 20
    assert plain(on, letter, 20).letters == 20
    assert durable(on, 20, processes=2).letters == 20


@needs_peers
def test_dbos_sends_then_waits_and_hears_its_confirmations(on: Bench) -> None:
    path = peers.saved(sample(on.settings())[1], on.folder)
    database = peers.dbos_database(on, postgres=False)
    told = peers.dbos(on, path, "queued", 20, database, wait_s=0.1, confirm=2)
    assert told["letters"] == 20
    assert len(told["confirm_s"]) == 2, "two workflows waited and were told"
    assert database.octets() > 0


@pytest.mark.gates
@pytest.mark.prefect
def test_prefect_alone_sends_from_a_subflow_for_each_recipient(on: Bench) -> None:
    path = peers.saved(sample(on.settings())[1], on.folder)
    assert [took.letters for took in peers.subflows(on, path, 2, 1, postgres=False)] == [2]


@pytest.mark.parametrize("name", ["launching", "weight", "confirming", "reminding", "deadlines"])
def test_a_measure_finds_ratios_and_exponents_at_any_size(on: Bench, name: str) -> None:
    section = MEASURES[name](on, TINY)
    assert section.growths
    assert all(value > 0 for ratio in section.ratios for value in ratio.values)
    assert all(value > 0 for growth in section.growths for _, value in growth.points)


def test_whoever_is_measured_beside_us_runs_on_the_same_loop() -> None:
    """DBOS and Prefect do not ask for it; the difference would be counted as ours."""
    ways = [*(ROOT / "bench" / "peers").glob("*.py"), ROOT / "bench" / "harness.py"]
    told = {way.name: re.findall(r"\b(asyncio|uvloop)\.run\(", way.read_text("utf-8")) for way in ways}
    assert all("uvloop" in told[name] for name in ("dbos_workflows.py", "prefect_subflows.py", "harness.py"))
    assert not [name for name in told if name != "harness.py" and "asyncio" in told[name]]
    assert "\nuvloop==" in (ROOT / "bench" / "requirements-peers.txt").read_text("utf-8")


@pytest.mark.gates
@pytest.mark.prefect
@pytest.mark.parametrize("name", ["passing-on", "waiting", "recovery"])
def test_a_measure_of_the_whole_engine_finds_its_ratios(on: Bench, name: str) -> None:
    assert MEASURES[name](on, TINY).ratios


# ------------------------------------------------------------------------------------ the arithmetic


def test_the_exponent_is_the_slope_of_the_logarithms() -> None:
    assert Growth("linear", ((10, 3.0), (100, 30.0), (1000, 300.0))).exponent == pytest.approx(1)
    assert Growth("square", ((10, 1.0), (100, 100.0))).exponent == pytest.approx(2)
    assert grown("flat", {10: [5.0, 4.0, 9.0], 100: [5.0]}).exponent == pytest.approx(0)
    assert "grows faster" in Growth("square", ((10, 1.0), (100, 100.0))).row()[-1]


def test_a_target_is_met_by_the_median_and_a_miss_is_said() -> None:
    assert Ratio("ours", "theirs", (7.0, 8.5, 9.0), at_least=8).met is True
    assert Ratio("ours", "theirs", (7.0, 7.5, 9.0), at_least=8).row()[-1] == "**missed**"
    assert Ratio("ours", "theirs", (1.6,), at_most=1.5).met is False
    assert Ratio("ours", "theirs", (1.6,)).met is None


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(n) for n in range(1, 101)]
    assert (percentile(values, 0.99), percentile(values, 0.5), percentile([3.0], 0.99)) == (99.0, 50.0, 3.0)


def test_what_was_kept_is_read_again_and_one_part_replaces_only_itself(tmp_path: Path) -> None:
    path, how = tmp_path / "results.json", {
        "command": "make bench", "commit": "c0ffee", "machine": "two cores", "versions": "Python", "on": "today",
    }  # fmt: skip
    first = Section("Một", [Ratio("a", "b", (1.0, 2.0), at_least=1)], [Growth("c", ((1, 1.0), (10, 9.0)))], ["note"])
    keep(path, "one", first, how)
    keep(path, "two", Section("Hai", missing=["DBOS"]), how)
    keep(path, "two", Section("Hai", notes=["again"]), how)
    found = kept(path)
    assert found["one"] == (first, how)
    assert found["two"][0] == Section("Hai", notes=["again"])
    words = text(found)
    assert "| a | b | 1.50 (1.00–2.00) | ≥ 1.00 | met |" in words
    assert "c0ffee" in words
