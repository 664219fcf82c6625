"""Published files in a folder: their names, compression and safety."""
