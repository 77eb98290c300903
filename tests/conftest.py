"""What all tests share: one Azurite for each test process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from local.azurite import Azurite

# No test may depend on how fast the machine is: hypothesis' own deadline of 200 ms does.
settings.register_profile("house", deadline=None)
settings.load_profile("house")


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """Give a running Azurite. Where it cannot run, the tests that need it fail: none is skipped unseen."""
    with Azurite() as running:
        yield running
