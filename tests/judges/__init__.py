"""Other engines read the product's files, and must find what the product says: DuckDB judges, pyarrow and pandas open."""
