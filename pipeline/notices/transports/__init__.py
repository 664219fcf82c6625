"""The transports, a module for each kind of channel: how it sends a message, and how it reads the answer."""
