"""The function that keeps the index, from the buckets' events."""
