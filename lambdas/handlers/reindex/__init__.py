"""Steps of a reindex."""
