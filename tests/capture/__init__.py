"""One partition: from a payload to a capture."""
