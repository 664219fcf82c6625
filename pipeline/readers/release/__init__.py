"""Releases: all datasets at one moment as a Data Package of Parquet files, for whoever takes the data away."""
