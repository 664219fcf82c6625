"""Resilience: errors in words, retries, connections, the clock, the order to stop."""
