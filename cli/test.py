"""`dev.py test`: check format, lint, types, docs and tests, in that order, until one of them fails."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parent.parent
WORKERS = min(4, os.cpu_count() or 2)


def steps(*, quick: bool) -> dict[str, list[str]]:
    """Return each step's name and its command after `python -m`."""
    tests = ["pytest", "-n", str(WORKERS), "--dist", "loadgroup"]
    if quick:
        tests += ["-m", "not azurite and not runtime and not large"]
    else:
        tests += ["--cov", "--cov-report=term-missing:skip-covered", "--cov-fail-under=90"]
    return {
        "format": ["ruff", "format", "--check", "."],
        "lint": ["ruff", "check", "."],
        "types": ["mypy", "."],
        "docs": ["cli", "generate", "--check"],
        "tests": tests,
    }


@click.command()
@click.option(
    "--quick",
    is_flag=True,
    help="Leave out tests that take seconds, or need Azurite or the Functions runtime.",
)
def test(quick: bool) -> None:
    """Check format, lint, types and docs, and run the tests. Stop at the first step that fails."""
    for name, command in steps(quick=quick).items():
        click.secho(f"── {name} ", bold=True, err=True)
        began = time.monotonic()
        result = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=False)
        click.secho(f"── {name}: {time.monotonic() - began:.0f} s", bold=True, err=True)
        if result.returncode != 0:
            click.secho(f"{name} failed", fg="red", err=True)
            raise SystemExit(result.returncode)
    click.secho("all steps passed", fg="green", err=True)
