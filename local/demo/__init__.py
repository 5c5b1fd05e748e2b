"""The demo: its story, its made-up data, and how that is sent."""
