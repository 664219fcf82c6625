"""The metrics for Prometheus, read from the ledger by the functions that the dashboard and the doctor use."""
