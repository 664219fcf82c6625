"""FINRA's publications: calendar, rows, formats, sources. No Django and no database."""
