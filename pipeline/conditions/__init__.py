"""Conditions that no transaction makes true, silence and lateness: they are found by looking."""
