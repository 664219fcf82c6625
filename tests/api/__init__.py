"""The API, through its own addresses."""
