"""Python runs this first in every process that the emulator starts for a function.

It sets up logging as Lambda's runtime does for functions that log JSON at level INFO; the emulator leaves it
to Python's default, which drops everything below WARNING. So what is looked through for leaks is what a
function would really log.
"""

import json
import logging
import os
import sys
from datetime import UTC, datetime


class _JsonLines(logging.Formatter):
    """One JSON object a record, with the members that Lambda writes."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "level": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
        }
        if record.exc_info:
            line["stackTrace"] = self.formatException(record.exc_info)
        return json.dumps(line)


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    _handler = logging.StreamHandler(sys.stderr)
    _handler.setFormatter(_JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[_handler])
