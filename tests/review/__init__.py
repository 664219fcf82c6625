"""What the ledger and the files say to a person."""
