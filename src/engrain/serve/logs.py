"""One JSON object a line on standard error: what was asked for, how it ended and how long it took; never what was said."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

LOG = logging.getLogger("engrain.serve")
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class JsonFormatter(logging.Formatter):
    """A record as JSON: time, level, event, and whatever was given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line for one record."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {"time": at, "level": record.levelname.lower(), "event": record.getMessage()}
        line |= {name: value for name, value in vars(record).items() if name not in STANDARD}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def log_to_stderr() -> None:
    """Write the server's log, and nothing of other loggers below a warning, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    for name, level in (("engrain.serve", logging.INFO), ("uvicorn.error", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)


def log_request(method: str, path: str, status: int, seconds: float) -> None:
    """Note one request; the path only, because a query may hold words of the user."""
    LOG.info("request", extra={"method": method, "path": path, "status": status, "seconds": round(seconds, 4)})


def log_words(prompts: Sequence[str], answers: Sequence[str]) -> None:
    """Note what was said: only where the server was told to."""
    LOG.info("answered", extra={"prompts": list(prompts), "answers": list(answers)})
