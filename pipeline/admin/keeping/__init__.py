"""Retention and backups in the admin."""
