"""What the archive and the ledger lack of each other, and how the ledger takes captures back."""
