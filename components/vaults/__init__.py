"""One customer's vault, its lifecycle rules, and customers that the config no longer names."""
