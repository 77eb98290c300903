"""Fixtures of the workspace stand-in's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.standins.identity import IdentityEndpoint
from local.standins.workspace.server import WorkspaceStandIn
from local.testing.app import Clock
from local.testing.workspace_caller import WorkspaceCaller


@pytest.fixture
def clock() -> Clock:
    """Return the clock of the workspace and of the identity endpoint."""
    return Clock()


@pytest.fixture
def caller(clock: Clock) -> Iterator[WorkspaceCaller]:
    """Return a caller of a new workspace."""
    with (
        IdentityEndpoint(clock=clock.now) as identity,
        WorkspaceStandIn(secret=identity.secret, clock=clock.now) as workspace,
    ):
        made = WorkspaceCaller(workspace, identity)
        yield made
        made.session.close()
