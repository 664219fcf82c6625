"""Users, roles and the operator log."""
