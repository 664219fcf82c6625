"""The archive against the ledger: lost files, and restoring captures that the ledger lacks."""
