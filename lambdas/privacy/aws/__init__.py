"""AWS as every wing uses it: clients, executions, transactions, failures, the time left."""
