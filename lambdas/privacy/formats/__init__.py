"""Rows in files: read, changed and copied, without any call to AWS."""
