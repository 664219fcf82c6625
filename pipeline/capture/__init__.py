"""One partition: fetched, read, decided, committed; and what is said against a payload."""
