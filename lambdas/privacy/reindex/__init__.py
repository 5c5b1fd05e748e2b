"""The reindex: every object compared with its index, differences reported and put right."""
