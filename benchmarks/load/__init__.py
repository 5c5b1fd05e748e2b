"""A minute of load that must lose nothing."""
