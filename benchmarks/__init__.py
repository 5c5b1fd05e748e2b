"""Measurements that a change must not worsen: import times, and a load run that may lose nothing."""
