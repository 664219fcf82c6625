"""Keeping: what may be pruned and is, backups, drills and restorations, and what to know before an upgrade."""
