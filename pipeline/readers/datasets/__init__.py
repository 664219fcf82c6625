"""The datasets, each in the module of its subject: its fields, their types, units and meanings, and its key."""
