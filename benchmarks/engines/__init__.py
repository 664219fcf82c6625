"""polars, DuckDB and pyarrow at the work of this product, each with the same answers (docs/adr/0035)."""
