"""The contract clock, and the events about contracts."""
