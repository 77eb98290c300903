"""A loaded file: what identifies a source and an endpoint, and what a registration records."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shared.core.submissions import OnUnknown, Policy
from tests.unit.config.files import Load, with_trigger

NOW = datetime(2027, 3, 27, 1, 30, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("body", "cutoff", "watermark"),
    [
        ("http: {}", NOW - timedelta(hours=2), None),
        ("blob: {datastore: ds}", NOW - timedelta(hours=2), None),
        ("blob: {datastore: ds, start: beginning}", None, None),
        (
            "blob: {datastore: ds, start: 2027-01-01T00:00:00Z}",
            datetime(2027, 1, 1, tzinfo=UTC),
            None,
        ),
        ("schedule: {frequency: day}", NOW - timedelta(hours=2), None),
        (
            "schedule: {frequency: day, run_at_start: true}",
            NOW - timedelta(hours=2),
            NOW.replace(second=0) - timedelta.resolution,
        ),
    ],
)
def test_a_registration_has_the_cutoff_and_the_watermark_of_the_source(
    load: Load, body: str, cutoff: datetime | None, watermark: datetime | None
) -> None:
    trigger = load(with_trigger(body)).triggers["t"]
    registration = trigger.registration(NOW)
    assert (registration.name, registration.time) == ("t", NOW)
    assert registration.source_key == trigger.source.source_key
    assert registration.cutoff == cutoff
    assert registration.watermark == watermark


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("schedule: {frequency: day}", "schedule: {frequency: week}", False),
        ("schedule: {frequency: day}", "schedule: {frequency: day, jitter: 5m}", True),
        ("schedule: {cron: '@daily'}", "schedule: {cron: 0  0 * * *, catch_up: all}", True),
        ("blob: {datastore: ds}", "blob: {datastore: other}", False),
        ("blob: {datastore: ds}", "blob: {datastore: ds, path: in}", False),
        ("blob: {datastore: ds}", "blob: {datastore: ds, include: ['*.csv'], start: beginning}", True),
        ("http: {}", "http: {allow_experiment: true}", True),
        ("http: {}", "schedule: {frequency: day}", False),
    ],
)  # fmt: skip
def test_only_another_source_has_another_key(load: Load, one: str, other: str, same: bool) -> None:
    first, second = (load(with_trigger(body)).triggers["t"].source for body in (one, other))
    assert (first.source_key == second.source_key) is same
    assert first.source_key.startswith(first.source.value)


def test_an_endpoint_is_stored_as_a_digest(load: Load) -> None:
    text = with_trigger("http: {}")
    digest = load(text).pipelines["scoring"].endpoint_digest
    assert len(digest) == 16
    assert load(text).pipelines["scoring"].endpoint_digest == digest
    other = load(text, SCORING_ENDPOINT="https://x/PipelineRuns/PipelineSubmit/1")
    assert other.pipelines["scoring"].endpoint_digest != digest


def test_a_trigger_that_is_no_longer_in_the_file_has_the_default_policy(load: Load) -> None:
    config = load(with_trigger("http: {}\non_unknown: hold"))
    assert config.policy("t").on_unknown is OnUnknown.HOLD
    assert config.policy("gone") == Policy()
