"""The store of submissions and of triggers' state.

`Ledger` (`ledger.py`) holds the rules, `Sightings` those of triggers; `rows.py` says what a row looks like; `Table`
(`table.py`) is the seam to the table service, with two implementations: `azure_table.py` and `memory_table.py`.
"""

from shared.ledger.ledger import Claim, Ledger, Tick
from shared.ledger.sightings import GRACE, Sighting, TriggerState
from shared.ledger.table import Table

__all__ = ["GRACE", "Claim", "Ledger", "Sighting", "Table", "Tick", "TriggerState"]
