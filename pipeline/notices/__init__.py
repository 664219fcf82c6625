"""Telling people: from notices, which the ledger's own code writes, to messages that a service has accepted."""
