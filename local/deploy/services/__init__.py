"""Creators of resources, one module a service."""
