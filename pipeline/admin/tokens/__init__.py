"""API tokens: made, shown once, revoked."""
