"""One week: its analytics, then its readiness."""
