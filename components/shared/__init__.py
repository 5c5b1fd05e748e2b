"""What the customers of a region share: tables, evidence, queues, the region's key."""
