"""The planted faults: each changes what stands in its file, or the gate would say so only after an hour."""

from __future__ import annotations

import pytest

from tests.gates.mutations import FAULTS, ROOT, Fault


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)
def test_a_fault_can_be_planted(fault: Fault) -> None:
    assert (ROOT / fault.file).read_text("utf-8").count(fault.old) == 1
    assert fault.old != fault.new
    assert all((ROOT / test).exists() for test in fault.tests)
