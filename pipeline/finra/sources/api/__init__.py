"""FINRA's API as a source (finra.md, "API"): weeklySummary and its history, page by page, exactly as FINRA sends it.

`source.FinraApi` is the source; it is imported where it is opened, for what its HTTP client costs.
"""
