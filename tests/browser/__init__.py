"""The admin in a browser: what an operator sees, and what he can do."""
