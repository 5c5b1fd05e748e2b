"""Visits: one object, or the records of one subject, dealt with for everything that is asked of it."""
