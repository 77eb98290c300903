"""Run the host: `python -m local.host`."""

import sys

from local.host.server import main

sys.exit(main())
