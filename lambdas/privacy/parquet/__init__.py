"""Rows in parquet files: read, changed and copied with Arrow, without any call to AWS."""
