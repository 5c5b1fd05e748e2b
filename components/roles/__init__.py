"""Roles of purposes, and the permissions boundary of all roles."""
