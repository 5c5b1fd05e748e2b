"""The AWS on this machine: its process, its TLS, and a search of everything that it holds."""
