"""Anomalies: their list, their page, and the words for what is wrong."""
