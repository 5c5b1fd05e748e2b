"""The REST API, its routes, its firewall, and who may call it."""
