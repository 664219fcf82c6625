"""Payloads and vintage files: written, read, compared, made again. The only room that opens a Parquet file."""
