"""Loads `triggers.yaml`: reads the YAML, fills app settings in, checks the values, merges and compiles them.

All problems of a file are reported together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from shared.config.compile.datastores import check_connections, compile_datastores
from shared.config.compile.pipelines import compile_pipelines, compile_workspace
from shared.config.compile.triggers import TriggersCompiler
from shared.config.model import BlobDelivery, Config
from shared.config.placeholders import PlaceholderResolver
from shared.config.problems import Problems
from shared.config.schema.sections import read_sections
from shared.config.yaml_reader import DocumentError, read_document
from shared.core.errors import FileError, Problem

MAX_BYTES = 1024 * 1024
"""1,000 triggers need a quarter of it. The limit bounds the time of a cold start."""


def load_config(
    path: Path,
    *,
    settings: Mapping[str, str],
    connection_problem: Callable[[str], str | None] = lambda _connection: None,
) -> Config:
    """Load a triggers file.

    Args:
        path: The file.
        settings: The app settings by name. In the app it is the environment of the process.
        connection_problem: Returns the reason why a connection that a blob trigger needs cannot be used, or None.

    Raises:
        FileError: The file has problems. The error carries all of them.
    """
    file = str(path)
    content = _read(path)
    try:
        document = read_document(content)
    except DocumentError as error:
        raise FileError(file, [error.problem]) from None
    problems = Problems(document)
    resolver = PlaceholderResolver(document, settings=settings, problems=problems)
    # The order matters: of several problems at one path, only the first is reported.
    data = resolver.data()
    default_delivery = _default_delivery(settings, problems)
    entries = read_sections(data, problems)
    workspace = compile_workspace(entries)
    datastores = compile_datastores(entries)
    pipelines = compile_pipelines(entries, cloud=workspace.cloud)
    compiler = TriggersCompiler(
        entries,
        datastores=datastores,
        pipelines=pipelines,
        default_delivery=default_delivery,
        from_settings=resolver.from_settings,
        problems=problems,
    )
    triggers = compiler.compile()
    compiler.check_unused()
    check_connections(entries, connection_problem=connection_problem, problems=problems)
    if problems:
        raise FileError(file, problems.in_order())
    return Config(
        file=file,
        digest=hashlib.sha256(content).hexdigest()[:12],
        workspace=workspace,
        datastores=datastores,
        pipelines=pipelines,
        triggers=triggers,
    )


def _read(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        FileError: The file cannot be read, or is too large.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        message = f"the file cannot be read: {error.strerror}; TRIGGERS_FILE must hold its path"
        raise FileError(str(path), [Problem(where="the file", message=message)]) from None
    if len(content) > MAX_BYTES:
        message = f"the file has {len(content)} bytes; at most {MAX_BYTES} are allowed"
        raise FileError(str(path), [Problem(where="the file", message=message)])
    return content


def _default_delivery(settings: Mapping[str, str], problems: Problems) -> BlobDelivery:
    """Return how the host detects blobs if a trigger does not say it."""
    try:
        return BlobDelivery(settings.get("BLOB_SOURCE") or BlobDelivery.EVENT_GRID)
    except ValueError:
        allowed = ", ".join(BlobDelivery)
        problems.add_setting("BLOB_SOURCE", f"its value is not known; allowed: {allowed}")
        return BlobDelivery.EVENT_GRID
