"""What all tests share: one Azurite for each test process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.azurite import Azurite


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """Give a running Azurite. Where it cannot run, the tests that need it fail: none is skipped unseen."""
    with Azurite() as running:
        yield running
