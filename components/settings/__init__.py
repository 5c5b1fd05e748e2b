"""The stack's config: parsed once, checked, with every problem told."""
