"""Measure the time until a new process has indexed the app, and its ratio to importing the packages that the app needs.

Run `python -m bench.cold_start`. It compiles the app's modules first and removes `PYTHONDONTWRITEBYTECODE` from the
environment of the measured processes, as a deployed app has compiled modules. Otherwise each start would compile all of
the app's own modules, but none of the packages'. It asserts nothing, because times on a shared machine vary too much.
"""

from __future__ import annotations

import compileall
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from cli.common import local_settings

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 7
OWN_CODE = ("shared", "timer_trigger", "blob_trigger", "http_trigger")
"""The packages of the deployed app, beside `function_app.py`."""
APP = "import function_app; function_app.app.get_functions()"
PACKAGES = "import azure.functions, azurefunctions.extensions.bindings.blob, pydantic, yaml"
NOTHING = "pass"


def compile_app() -> None:
    """Compile the app's modules, so that no measured process has to."""
    for name in OWN_CODE:
        compileall.compile_dir(ROOT / name, quiet=1)
    compileall.compile_file(ROOT / "function_app.py", quiet=1)


def environment() -> dict[str, str]:
    """Return the environment of a measured process: that of an app with the sample's settings."""
    found = {**os.environ, **local_settings(ROOT, environment={})}
    found.pop("PYTHONDONTWRITEBYTECODE", None)
    return found


def run(program: str) -> float:
    """Return how many seconds a new process needs for a program."""
    settings = environment()
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=settings, check=True)
    return time.perf_counter() - began


def main() -> None:
    """Measure all programs in turn, so that changes of the machine's speed affect all of them, and print the result."""
    compile_app()
    times: dict[str, list[float]] = {NOTHING: [], PACKAGES: [], APP: []}
    for _ in range(ROUNDS):
        for program, found in times.items():
            found.append(run(program))
    nothing, packages, app = (statistics.median(found) for found in times.values())
    print(
        f"the app is indexed after {app - nothing:.2f} s; its packages alone take {packages - nothing:.2f} s"
    )
    print(f"ratio {(app - nothing) / (packages - nothing):.2f}")


if __name__ == "__main__":
    main()
