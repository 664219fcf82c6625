"""The ways to a channel, one module each: what it sends, and what it takes for an answer."""
