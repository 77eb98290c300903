"""What all tests share: one Azurite for each test process."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest
from hypothesis import settings

from local.standins.azurite import Azurite

# No test may depend on how fast the machine is: hypothesis' own deadline of 200 ms does.
settings.register_profile("house", deadline=None)
settings.load_profile("house")


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """Give a running Azurite. Where it cannot run, the tests that need it fail: none is skipped unseen."""
    with Azurite() as running:
        yield running


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that needs Azurite or the Functions runtime and was skipped: it proved nothing."""
    report = yield
    needed = any(item.get_closest_marker(name) for name in ("azurite", "runtime"))
    if report.skipped and needed:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped; tests on real parts may not be"
    return report
