"""Runs: their list, their page with its progress, and the form of a backfill."""
