"""Exports: everything that a customer has sent, written down for it to fetch."""
