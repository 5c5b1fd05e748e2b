"""One customer's vault: the door to it, its table's items, its objects."""
