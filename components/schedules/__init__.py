"""What a region does by itself every few minutes or hours: calls of functions, and what each may do."""
