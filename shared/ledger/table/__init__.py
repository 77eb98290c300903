"""The table service that the ledger's rows are in."""
