"""One week: its analytics, then its verdict."""
