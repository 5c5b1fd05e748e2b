"""Functions behind the API, one operation each."""
