"""Fixtures of the chaos tests: a run on the test process's own Azurite."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import pytest

from local.chaos.checks import Report
from local.chaos.options import ChaosOptions
from local.chaos.run import run
from local.standins.azurite import Azurite

type Chaos = Callable[[ChaosOptions], Report]


@pytest.fixture
def chaos(azurite: Azurite) -> Chaos:
    """Return a function that makes a chaos run and prints its report, which pytest shows if the test fails."""

    def make(options: ChaosOptions) -> Report:
        report = run(options, azurite=azurite, say=lambda text: None)
        json.dump(report.to_json(), sys.stdout, indent=1)
        return report

    return make
