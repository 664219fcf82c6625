"""What no transaction makes true, and is found by looking: silence, and lateness."""
