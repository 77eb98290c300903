"""Run the workspace stand-in: `python -m local.standins.workspace`."""

from local.standins.workspace.control import main

main()
