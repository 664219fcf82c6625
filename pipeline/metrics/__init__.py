"""The metrics: what Prometheus is told, read from the ledger by the functions that the dashboard and the doctor use."""
