"""Requests: the table that keeps them, when they are due, and who may work on them."""
