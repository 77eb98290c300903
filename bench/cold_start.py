"""Time until the app is indexed in a new process, as a ratio to importing the packages that any such app needs.

Run: `python -m bench.cold_start`. It asserts nothing: a clock on a shared machine proves nothing.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from cli.common import local_settings

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 7
APP = "import function_app; function_app.app.get_functions()"
FLOOR = "import azure.functions, azurefunctions.extensions.bindings.blob, pydantic, yaml"
NOTHING = "pass"


def run(program: str) -> float:
    """Return the seconds a new process takes for a program."""
    environment = {**os.environ, **local_settings(ROOT, environment={})}
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, check=True)
    return time.perf_counter() - began


def main() -> None:
    """Measure in turn, so that a machine that drifts drifts for all."""
    times: dict[str, list[float]] = {NOTHING: [], FLOOR: [], APP: []}
    for _ in range(ROUNDS):
        for program, found in times.items():
            found.append(run(program))
    nothing, floor, app = (statistics.median(found) for found in times.values())
    print(
        f"the app is indexed after {app - nothing:.2f} s; its packages alone take {floor - nothing:.2f} s"
    )
    print(f"ratio {(app - nothing) / (floor - nothing):.2f}")


if __name__ == "__main__":
    main()
