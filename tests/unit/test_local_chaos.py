"""The parts of the chaos harness: checks, plan, and faults of storage and TLS."""

from __future__ import annotations

import ssl
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import requests
import trustme

from local.chaos.checks import NO_FAULT, Checks, check_run
from local.chaos.faults import FaultLog
from local.chaos.options import CRASH_POINTS, START, ChaosOptions
from local.chaos.plan import PlannedEvent, facts_by_name, make_plan, triggers_file
from local.standins.http_server import Answer, HttpServer, IncomingRequest, Misbehaviour
from local.standins.storage_faults import (
    OUTAGE_REQUESTS,
    FaultyAdapter,
    StorageChance,
    StorageFault,
)
from local.standins.workspace.faults import FaultKind, WorkspaceFault
from local.standins.workspace.runs import RunStore, StoredRun
from local.testing.memory_table import MemoryTable
from shared.clients.http_connections import kept_alive_session
from shared.config.load import load_config
from shared.core.events import ScheduleEvent, deduplication_key
from shared.core.submissions import State, Submission
from shared.ledger.ledger import Ledger
from shared.ledger.table.protocol import Delete, Merge


class FinishedRun:
    """The ledger and the workspace after a run with one successful event."""

    def __init__(self) -> None:
        self.event = ScheduleEvent(trigger="nightly", time=START)
        self.id = deduplication_key(self.event)
        self.runs = RunStore(clock=lambda: START)
        self.table = MemoryTable()
        self.run = self.start()
        self.submission = Submission(
            id=self.id,
            trigger="nightly",
            pipeline="scoring",
            kind="published_pipeline",
            endpoint_digest="p",
            event=self.event,
            body=b'{"ExperimentName": "E"}',
            created=START,
            updated=START,
            state=State.FINISHED,
            run_id=self.run.id,
        )

    def start(self) -> StoredRun:
        body = {"ExperimentName": "E", "tags": {"submission": f"{self.id}-1"}}
        return self.runs.add("pipeline", body)

    def check(self, **changes: object) -> Checks:
        if not self.table.page("sub:", "sub;").rows:
            Ledger(self.table).claim(replace(self.submission, **changes))  # type: ignore[arg-type]  # real fields
        event = PlannedEvent(id=self.id, notification={})
        return check_run([event], table=self.table, runs=self.runs.all())


def test_one_run_and_a_finished_submission_pass() -> None:
    assert FinishedRun().check().ok


def test_a_second_run_is_detected() -> None:
    finished = FinishedRun()
    finished.start()
    checks = finished.check()
    assert (checks.doubled, checks.lost) == ([finished.id], [])


@pytest.mark.parametrize(
    ("changes", "lost"),
    [
        ({"run_id": None}, True),
        ({"state": State.DEAD, "run_id": None, "reason": "why"}, True),
        ({"state": State.HELD, "run_id": None, "reason": "why"}, False),
        ({"state": State.HELD, "reason": "its run is gone"}, True),
    ],
)
def test_an_event_without_a_run_is_lost_unless_it_is_held_for_a_person(
    changes: dict[str, object], lost: bool
) -> None:
    finished = FinishedRun()
    finished.runs.clear()
    assert finished.check(**changes).lost == ([finished.id] if lost else [])


def test_a_run_id_that_the_workspace_does_not_have_is_detected() -> None:
    checks = FinishedRun().check(run_id="another")
    assert len(checks.problems) == 1
    assert "names run another" in checks.problems[0]


def test_an_event_that_is_not_in_the_ledger_is_detected() -> None:
    finished = FinishedRun()
    checks = check_run(
        [PlannedEvent(id=finished.id, notification={})],
        table=finished.table,
        runs=finished.runs.all(),
    )
    assert checks.problems == [f"{finished.id} has 1 runs but no submission"]


@pytest.mark.parametrize(
    ("changes", "prefix"),
    [
        ({}, "log:"),
        ({"state": State.HELD, "reason": "why"}, "attention:"),
        ({"state": State.SUBMITTED, "due": START}, "due:"),
    ],
)
def test_a_missing_row_of_an_index_is_detected(changes: dict[str, object], prefix: str) -> None:
    finished = FinishedRun()
    finished.check(**changes)
    (row,) = finished.table.page(prefix, prefix[:-1] + ";").rows
    finished.table.transact([Delete(row.key)])
    assert any(row.key in problem for problem in finished.check().problems)


def test_a_row_that_belongs_to_no_submission_is_detected() -> None:
    finished = FinishedRun()
    finished.table.transact([Merge("due:20270327T120000.000000Z:x", {"state": "pending"})])
    assert not finished.check().ok


def test_the_fault_table_counts_lost_and_doubled_events_by_their_faults() -> None:
    fault_log = FaultLog()
    fault_log.record("POST: 500", "a")
    fault_log.record("POST: 500", "b")
    checks = Checks(lost=["a"], doubled=["c"])
    assert checks.fault_table(fault_log) == [
        {"fault": NO_FAULT, "injected": 0, "lost": 0, "doubled": 1},
        {"fault": "POST: 500", "injected": 2, "lost": 1, "doubled": 0},
    ]


def test_the_same_seed_gives_the_same_plan_and_another_seed_another_plan() -> None:
    plans = [make_plan(ChaosOptions(events=50, seed=seed)) for seed in (1, 1, 2)]
    assert plans[0] == plans[1] != plans[2]


def test_every_event_is_delivered_at_least_twice_and_every_crash_point_is_planned() -> None:
    options = ChaosOptions(events=200, seed=1, crashes=2)
    deliveries = [one for part in make_plan(options).rounds for one in part]
    counts = Counter(one.event.id for one in deliveries)
    assert len(counts) == 200
    assert min(counts.values()) >= 2
    crashes = Counter(one.crash for one in deliveries if one.crash)
    assert crashes == dict.fromkeys(CRASH_POINTS, 2)


def test_the_triggers_file_of_a_run_can_be_loaded(tmp_path: Path) -> None:
    options = ChaosOptions(events=400)
    endpoints = [
        "https://westeurope.api.azureml.ms/pipelines/v1.0/subscriptions/s/resourceGroups/g/providers/"
        f"Microsoft.MachineLearningServices/workspaces/w/PipelineRuns/PipelineSubmit/{number}"
        for number in range(options.groups)
    ]
    file = tmp_path / "triggers.yaml"
    file.write_text(triggers_file(options, endpoints=endpoints))
    assert len(load_config(file, settings={}).triggers) == 3 * options.groups


def test_facts_depend_on_the_name_alone() -> None:
    path = f"incoming/{START.timestamp():.0f}-000001.csv"
    facts = facts_by_name("DataStorage", "data", path)
    assert facts == facts_by_name("Other", "data", path)
    assert facts.last_modified == START


@pytest.fixture
def storage() -> Iterator[tuple[HttpServer, list[str]]]:
    """Return a service, and the paths of the requests that reached it."""
    reached: list[str] = []

    def handle(request: IncomingRequest) -> Answer:
        reached.append(request.path)
        return Answer(body=b"done")

    with HttpServer(handle) as server:
        yield server, reached


@pytest.mark.parametrize("fault", list(StorageFault))
def test_a_storage_fault_is_carried_out_or_not_and_its_answer_is_always_an_error(
    storage: tuple[HttpServer, list[str]], fault: StorageFault
) -> None:
    server, reached = storage
    with kept_alive_session(FaultyAdapter(lambda: fault)) as session:
        try:
            status = session.get(f"{server.url}/x", timeout=10).status_code
        except requests.RequestException:
            status = 0
    assert status in (0, 500, 503)
    assert (reached == ["/x"]) is fault.carried_out


def test_storage_faults_sometimes_outlast_the_client_s_retries_and_can_be_stopped() -> None:
    noted: list[StorageFault] = []
    chance = StorageChance("seed", fraction=0.05, on_fault=noted.append)
    results = [chance.decide() for _ in range(5000)]
    assert [one for one in results if one is not None] == noted
    text = "".join("x" if one else "." for one in results)
    assert "x" * OUTAGE_REQUESTS in text
    assert set(noted) == set(StorageFault)
    chance.fraction = 0.0
    assert {chance.decide() for _ in range(100)} == {None}


def test_a_broken_tls_record_is_a_tls_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    def handle(_: IncomingRequest) -> Answer | Misbehaviour:
        return WorkspaceFault(fault_kind=FaultKind.BROKEN_TLS, accepted=True).apply(Answer)

    with (
        HttpServer(handle, tls=context) as server,
        kept_alive_session() as session,
        pytest.raises(requests.exceptions.SSLError),
    ):
        session.post(server.url, data=b"{}", verify=str(file), timeout=10)


def test_the_clock_of_the_longest_run_advances_by_less_than_give_up_after() -> None:
    options = ChaosOptions(events=20_000)
    assert options.rounds * timedelta(minutes=40) < timedelta(hours=24)
