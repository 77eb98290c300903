#!/usr/bin/env python3
"""The entry point of all commands: `python3 dev.py demo`, `test`, `up` and so on. `python3 dev.py --help` lists them.

It runs on any Python 3. It finds Python 3.13 and makes `.venv` from the pinned requirements. For the commands that need
Azurite, it runs `npm ci`. Then it runs `python -m cli …` in that environment.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
WANTED = (3, 13)
VENV = ROOT / ".venv"
REQUIREMENTS = ROOT / "requirements-dev.txt"
NEED_AZURITE = {"chaos", "demo", "up", "test"}


def main() -> int:
    """Prepare the environment and run the command in it."""
    arguments = sys.argv[1:]
    python = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    prepare_python(python)
    if (
        arguments[:1]
        and arguments[0] in NEED_AZURITE
        and not {"--quick", "--help", "-h"} & set(arguments)
    ):
        prepare_azurite()
    command = [str(python), "-m", "cli", *arguments]
    os.environ["PYTHONPATH"] = str(ROOT)
    if os.name != "nt":
        os.execv(command[0], command)
    return subprocess.run(command, check=False).returncode


def prepare_python(python: Path) -> None:
    """Make `.venv` from the pinned requirements, unless it is up to date."""
    digest_file = VENV / "requirements.sha256"
    digest = digest_of(REQUIREMENTS)
    if python.exists() and digest_file.exists() and digest_file.read_text() == digest:
        return
    say(f"preparing .venv with Python {WANTED[0]}.{WANTED[1]} (only once, about half a minute) …")
    shutil.rmtree(VENV, ignore_errors=True)
    run([*find_python(), "-m", "venv", str(VENV)])
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, "--require-hashes", "-r", str(REQUIREMENTS)])
    digest_file.write_text(digest)


def prepare_azurite() -> None:
    """Install Azurite, the storage emulator, unless it is up to date."""
    modules = ROOT / "node_modules"
    digest_file = modules / ".package-lock.sha256"
    digest = digest_of(ROOT / "package-lock.json")
    if digest_file.exists() and digest_file.read_text() == digest:
        return
    npm = shutil.which("npm") or ""
    if not npm:
        fail(
            "npm was not found: install Node.js 20 or newer (https://nodejs.org), which includes npm"
        )
    say("installing Azurite with npm ci (only once, about half a minute) …")
    run([npm, "ci", "--no-fund", "--no-audit", "--loglevel=error"])
    digest_file.write_text(digest)


def find_python() -> list[str]:
    """Return a command that starts Python 3.13, from the places where installers put it."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [
        [sys.executable],
        ["python3.13"],
        ["python3"],
        ["py", "-3.13"],
        *([str(path)] for path in sorted(pyenv.glob("3.13*/bin/python"), reverse=True)),
        ["/opt/homebrew/bin/python3.13"],
    ]
    for command in candidates:
        if version_of(command) == "%d.%d" % WANTED:
            return command
    fail(
        "Python 3.13 was not found (this is Python %d.%d): install it from https://python.org, or with "
        "pyenv, uv or your system's package manager, so that the command `python3.13` starts it"
        % sys.version_info[:2]
    )
    raise SystemExit(1)


def version_of(command: list[str]) -> str:
    """Return the version of the Python that a command starts, such as `3.13`, or an empty text if it cannot start."""
    probe = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        answer = subprocess.run(
            [*command, "-c", probe], capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return answer.stdout.strip()


def digest_of(file: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def run(command: list[str]) -> None:
    """Run a step with its output on stderr. If it fails, print which step it was and exit."""
    if subprocess.run(command, cwd=ROOT, check=False, stdout=sys.stderr).returncode != 0:
        fail("this step failed: " + " ".join(command))


def say(text: str) -> None:
    """Print a message on stderr, because stdout belongs to the command."""
    print(f"dev.py: {text}", file=sys.stderr, flush=True)


def fail(text: str) -> None:
    """Print a message and exit."""
    say(text)
    raise SystemExit(1)


if __name__ == "__main__":
    raise SystemExit(main())
