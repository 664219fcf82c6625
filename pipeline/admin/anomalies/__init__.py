"""Anomalies: their list, their page, and the dashboard's list of faults."""
