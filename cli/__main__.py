"""`python -m cli`: the commands of `dev.py`."""

from __future__ import annotations

import importlib

import click

COMMANDS = {
    "backfill": ("cli.backfill", "Start the runs of a schedule's past occurrences."),
    "chaos": (
        "cli.chaos",
        "Prove that nothing is lost or started twice, among faults and crashes.",
    ),
    "check": ("cli.check", "Check a triggers file."),
    "demo": ("cli.demo", "Show all three triggers at work on this machine."),
    "generate": ("cli.reference", "Write the generated files: JSON Schema and reference."),
    "lock": ("cli.lock", "Pin the requirements, with hashes."),
    "next": ("cli.next", "List a schedule's next occurrences."),
    "openapi": ("cli.openapi", "Print the OpenAPI document of the HTTP API."),
    "preview": ("cli.preview", "Say what a blob, a time or a request would start."),
    "submissions": ("cli.submissions", "List, show, replay, drop and cancel submissions."),
    "test": ("cli.test", "Check format, lint, types and docs, and run all tests."),
    "triggers": ("cli.triggers", "List, show, enable and disable triggers."),
    "up": ("cli.up", "Run the app on this machine, and restart it when a file changes."),
}
"""Each command's module, imported when it is asked for, and its line of help."""


class Commands(click.Group):
    """A group whose commands are loaded late: `check` needs neither Azurite nor a test runner."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 — click's signature
        """Return the names."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 — click's signature
        """Return a command, or None."""
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 — click's signature
        """Write the list of commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in sorted(COMMANDS.items())])


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Start Azure ML pipelines when something happens: the commands for a laptop."""


if __name__ == "__main__":
    main(prog_name="dev.py")
