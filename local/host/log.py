"""The host's log on standard error: one line for each record."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from azure_functions_runtime import invocation_id_cv

from local.host.runtime import Result

logger = logging.getLogger("host")


class _Format(logging.Formatter):
    """The format `time level logger [action] message invocation=…`, followed by the exception.

    A decision's message ends with its fields (`core.telemetry`), as it arrives in Azure.
    """

    def format(self, record: logging.LogRecord) -> str:
        created = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        action = record.__dict__.get("action")
        invocation = invocation_id_cv.get()
        parts = [created.replace("+00:00", "Z"), f"{record.levelname:<7}", record.name]
        parts += [f"[{action}]"] if action else []
        parts += [record.getMessage()]
        parts += [f"invocation={invocation}"] if invocation is not None else []
        line = " ".join(parts)
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def configure_logging() -> None:
    """Write records from INFO upwards to standard error. The real worker also drops DEBUG by default."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Format())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # The runtime logs every invocation, and azure-core every request of the host's own polling.
    for name in ("azure.functions", "azure.core.pipeline.policies.http_logging_policy"):
        logging.getLogger(name).setLevel(logging.WARNING)


def run_logged(function: str, reason: str, call: Callable[[str], Result]) -> Result:
    """Call a function, log one line about the call, and return its result.

    Args:
        function: The function's name.
        reason: Why it is called, for the log.
        call: Makes the call with the invocation's id.
    """
    invocation = str(uuid.uuid4())
    start = time.monotonic()
    result = call(invocation)
    took = (time.monotonic() - start) * 1000
    outcome = "Succeeded" if result.ok else "Failed"
    logger.log(
        logging.INFO if result.ok else logging.ERROR,
        "Executed 'Functions.%s' (%s, Id=%s, Duration=%dms) %s%s",
        function,
        outcome,
        invocation,
        took,
        reason,
        "" if result.ok else f": {result.error}\n{result.trace.rstrip()}",
    )
    return result
