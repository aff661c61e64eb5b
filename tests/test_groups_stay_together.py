"""Tests of one group run one after the other: two Prefect servers at once are slow enough on two cores to fail."""

import pytest


@pytest.mark.xdist_group("prefect")
def test_the_test_runner_keeps_a_group_on_one_worker(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("loadgroup", False):
        pytest.skip("not run with --dist loadgroup")
    assert request.node.nodeid.endswith("@prefect"), "pytest-xdist does not know this pytest: pin another"
