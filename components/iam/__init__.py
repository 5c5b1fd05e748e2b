"""IAM documents as small pure functions: who may do what, and why."""
