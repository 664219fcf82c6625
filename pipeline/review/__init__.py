"""Answers of the ledger and the files for a person. Reads, and saves nothing."""
