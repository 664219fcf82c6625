"""The analyst's pages: market, venue, symbol, restatements, revision profile, comparison. Each asks `pipeline.readers`."""
