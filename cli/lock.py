"""`dev.py lock`: pin the requirements of the deployed app and of a laptop, with hashes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parent.parent


@click.command()
@click.option("--upgrade", is_flag=True, help="Use the newest versions that pyproject.toml allows.")
def lock(upgrade: bool) -> None:
    """Pin requirements.txt (deployed app) and requirements-dev.txt (laptop and CI)."""
    compile_ = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal"]
    compile_ += ["--generate-hashes", "--python-version", "3.13", "--no-emit-index-url"]
    compile_ += ["--custom-compile-command", "python3 dev.py lock", "pyproject.toml"]
    if upgrade:
        compile_.append("--upgrade")
    outputs = {
        "requirements.txt": [],
        "requirements-dev.txt": ["--group", "dev", "--constraint", "requirements.txt"],
    }
    for name, options in outputs.items():
        subprocess.run([*compile_, *options, "--output-file", name], cwd=ROOT, check=True)
        click.echo(f"{name} is pinned")
