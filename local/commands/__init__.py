"""What `python -m local` does with a stack that is up."""
