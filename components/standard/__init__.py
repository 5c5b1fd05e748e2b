"""How each kind of resource is made here: bucket, table, key, log group, role."""
