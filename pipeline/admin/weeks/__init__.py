"""Weeks: readiness and analytics snapshots."""
