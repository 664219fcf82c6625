"""What the ledger and the files say to a person: it reads, and saves nothing."""
