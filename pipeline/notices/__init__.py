"""Telling people: from the notices in the ledger to messages that a service has accepted."""
