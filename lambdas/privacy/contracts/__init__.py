"""Contracts: reminders, the watch, and the end that destroys a customer's data."""
