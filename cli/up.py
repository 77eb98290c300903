"""`dev.py up`: run the app on this machine."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click

from local.processes.child import ChildFailed
from local.processes.host import CoreToolsMissing
from local.standins.azurite import AzuriteMissing
from local.up import AlreadyUp
from local.up import up as run_stack


@click.command()
@click.option(
    "--app",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(__file__).resolve().parent.parent,
    help="Directory of function_app.py. Default: this repository.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=7071,
    show_default=True,
    help="The host's port. 0 takes a free one.",
)
@click.option(
    "--func", is_flag=True, help="Use Azure Functions Core Tools instead of the built-in host."
)
def up(app: Path, port: int, func: bool) -> None:
    """Run the app on this machine, and restart it when a file changes.

    Storage (Azurite), the Azure ML workspace and the managed identity are stand-ins on loopback. Values in
    local.settings.json win over them. If an endpoint there is real, the app starts runs in Azure with your own login
    (az login). Ctrl-C stops everything.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the stack is stopped
    try:
        run_stack(app, func=func, port=port, say=click.echo)
    except KeyboardInterrupt:
        click.echo("stopped")
    except (AlreadyUp, AzuriteMissing, CoreToolsMissing, ChildFailed, OSError) as error:
        click.echo(str(error), err=True)
        sys.exit(1)
