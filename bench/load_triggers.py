"""Time to load 1,000 triggers, as a ratio to reading the same file with PyYAML and pydantic alone.

Run: `python -m bench.load_triggers`. It asserts nothing, because timings vary on a shared machine.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from shared.config.load import load_config
from shared.config.schema.file import TriggersFile
from shared.config.templates import template as templates

COUNT = 1000
ROUNDS = 9
ENDPOINT = "https://x.api.azureml.ms/pipelines/v1.0/PipelineRuns/PipelineSubmit/0a1b"


def file_text() -> str:
    """Return a file of `COUNT` triggers of all sources, with templates of their own."""
    lines = [
        "datastores:\n  ds: {connection: DataStorage, container: data}\n",
        f"pipelines:\n  scoring:\n    kind: published_pipeline\n    endpoint: {ENDPOINT}\n",
        "    experiment: E\n    tags: {by: '{{ trigger.name }}'}\ntriggers:\n",
    ]
    for number in range(COUNT):
        lines.append(
            f"  t{number}:\n    pipeline: scoring\n    parameters: {{n: {number}, s: x}}\n"
        )
        match number % 3:
            case 0:
                lines.append(f"    schedule: {{cron: {number % 60} 6 * * MON-FRI}}\n")
            case 1:
                lines.append(
                    f"    blob: {{datastore: ds, path: in/{number}, include: ['*.csv']}}\n"
                    f"    data_paths: {{in: 'out/{number}/{{{{ blob.name }}}}'}}\n"
                )
            case _:
                lines.append(
                    f"    http: {{}}\n    description: 'no. {number}: {{{{ http.body.day }}}}'\n"
                )
    return "".join(lines)


def median_of(action: Callable[[], object]) -> float:
    """Return the median time of an action in seconds."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    """Print both times and their ratio."""
    text = file_text()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "triggers.yaml"
        file.write_text(text, encoding="utf-8")

        def ours() -> None:
            templates._names.cache_clear()  # a fresh process has parsed nothing
            load_config(file, settings={})

        def plain() -> None:
            TriggersFile.model_validate(yaml.load(text, Loader=yaml.CSafeLoader))

        loaded, compared = median_of(ours), median_of(plain)
    print(
        f"{COUNT} triggers: {loaded * 1000:.0f} ms; PyYAML and pydantic alone {compared * 1000:.0f} ms"
    )
    print(f"ratio {loaded / compared:.2f}")


if __name__ == "__main__":
    main()
