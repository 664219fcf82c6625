"""Keeping: pruning, backups, drills and restorations, and the checks before an upgrade."""
