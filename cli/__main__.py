"""`python -m cli` runs the commands of `dev.py`."""

from __future__ import annotations

import importlib

import click

COMMANDS = {
    "backfill": ("cli.backfill", "Start the runs of a schedule's past occurrences."),
    "chaos": ("cli.chaos", "Inject faults and crashes, and check that each event starts one run."),
    "check": ("cli.check", "Check a triggers file."),
    "demo": ("cli.demo", "Show all three kinds of trigger on this machine."),
    "generate": ("cli.reference", "Write the generated files: JSON Schema and reference."),
    "lock": ("cli.lock", "Pin the requirements with hashes."),
    "next": ("cli.next", "List a schedule's next occurrences."),
    "openapi": ("cli.openapi", "Print the OpenAPI document of the HTTP API."),
    "preview": ("cli.preview", "Show the runs that a blob, a time or a request would start."),
    "submissions": ("cli.submissions", "List, show, replay, drop and cancel submissions."),
    "test": ("cli.test", "Check format, lint, types and docs, and run the tests."),
    "triggers": ("cli.triggers", "List, show, enable and disable triggers."),
    "up": ("cli.up", "Run the app on this machine, and restart it when a file changes."),
}
"""The module of each command, which is imported only if the command runs, and its line of help."""


class Commands(click.Group):
    """A group that imports a command only when it runs: `check` needs neither Azurite nor a test runner."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 — click's signature
        """Return the names of all commands."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 — click's signature
        """Return a command, or None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 — click's signature
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in sorted(COMMANDS.items())])


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Develop and operate the app that starts Azure ML pipeline runs for schedules, blobs and HTTP calls."""


if __name__ == "__main__":
    main(prog_name="dev.py")
