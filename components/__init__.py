"""Pulumi components: they declare resources and never call AWS."""
