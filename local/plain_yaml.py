"""YAML as JSON knows it: what looks like a date stays the text it is."""

from typing import Any

import yaml


class _PlainDates(yaml.SafeLoader):
    """The safe loader without the timestamp type."""


_PlainDates.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load(text: str) -> Any:
    """Parse one YAML document."""
    return yaml.load(text, Loader=_PlainDates)
