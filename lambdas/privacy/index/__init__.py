"""The index: from a bucket's event to the entries that say who is in which object."""
