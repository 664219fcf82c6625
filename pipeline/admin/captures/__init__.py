"""Captures: their list and pages, differences, rows, manifests, downloads."""
