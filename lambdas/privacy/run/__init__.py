"""The run: plans visits for all pending requests of a customer, verifies them, ends the requests."""
