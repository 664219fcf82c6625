"""The admin, through its own pages."""
