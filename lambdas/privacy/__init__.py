"""The domain: requests, vaults, runs and datasets. Knows AWS, never Pulumi."""
