"""Partitions: their list and their page."""
