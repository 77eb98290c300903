"""The table service below the ledger."""
