"""Visits: one object, or the records of one subject, erased and corrected as a run's requests ask."""
