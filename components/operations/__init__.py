"""What an operator is told, and what exists once an account."""
