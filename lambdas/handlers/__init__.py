"""One thin file a function: parse, call `privacy`, map the result."""
