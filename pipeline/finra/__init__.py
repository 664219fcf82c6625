"""What FINRA publishes: rows, and the formats that they come in. No Django and no database."""
