"""How fast visits of files are."""
