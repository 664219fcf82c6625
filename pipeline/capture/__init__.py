"""One partition: fetch, read, decide, commit; and the plausibility of payloads."""
