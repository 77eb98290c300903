"""Shared by all tests: one Azurite for each test process, and no app settings of the developer's own."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator

import pytest
from hypothesis import settings

from local.standins.azurite import Azurite
from local.testing.environment import remove_app_settings

# Before any test module is imported, and for the processes that tests start, too.
remove_app_settings(os.environ)

# No test may depend on the speed of the machine, but hypothesis' own deadline of 200 ms does.
settings.register_profile("house", deadline=None)
settings.load_profile("house")


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """Return a running Azurite. If it cannot run, the tests that need it fail, so that none is skipped unnoticed."""
    with Azurite() as running:
        yield running


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that was skipped although it needs Azurite or the Functions runtime: it has checked nothing."""
    report = yield
    needed = any(item.get_closest_marker(name) for name in ("azurite", "runtime"))
    if report.skipped and needed:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, but tests that need real parts must run"
    return report
