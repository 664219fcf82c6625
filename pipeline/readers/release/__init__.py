"""Releases: all datasets at one moment, as a Data Package of Parquet files to take away."""
