"""The parts of the chaos harness that can be wrong by themselves: verdict, plan, faults of storage and TLS."""

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

from local.chaos.checks import NO_FAULT, Checks, judge
from local.chaos.faults import FaultBook
from local.chaos.options import CRASH_POINTS, START, ChaosOptions
from local.chaos.plan import PlannedEvent, facts_by_name, make_plan, triggers_file
from local.standins.http_server import Answer, HttpServer, Misbehaviour, Request
from local.standins.storage_faults import (
    OUTAGE_REQUESTS,
    FaultyAdapter,
    StorageChance,
    StorageFault,
)
from local.standins.workspace.faults import Fault, FaultKind
from local.standins.workspace.runs import RunStore, StoredRun
from local.testing.memory_table import MemoryTable
from shared.clients.http_connections import kept_alive_session
from shared.config.load import load_config
from shared.core.events import ScheduleEvent, deduplication_key
from shared.core.submissions import State, Submission
from shared.ledger.ledger import Ledger
from shared.ledger.table.protocol import Delete, Merge


class Environment:
    """A ledger and a workspace with one event that went well."""

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

    def judge(self, **changes: object) -> Checks:
        if not self.table.page("sub:", "sub;").rows:
            Ledger(self.table).submissions.claim(replace(self.submission, **changes))  # type: ignore[arg-type]  # real fields
        planned = PlannedEvent(id=self.id, notification={})
        return judge([planned], table=self.table, runs=self.runs.all())


def test_one_run_and_a_finished_submission_are_as_they_must_be() -> None:
    assert Environment().judge().ok


def test_a_second_run_is_noticed() -> None:
    environment = Environment()
    environment.start()
    checks = environment.judge()
    assert (checks.doubled, checks.lost) == ([environment.id], [])


@pytest.mark.parametrize(
    ("changes", "lost"),
    [
        ({"run_id": None}, True),
        ({"state": State.DEAD, "run_id": None, "reason": "why"}, True),
        ({"state": State.HELD, "run_id": None, "reason": "why"}, False),
        ({"state": State.HELD, "reason": "its run is gone"}, True),
    ],
)
def test_an_event_without_a_run_is_lost_unless_a_person_is_asked(
    changes: dict[str, object], lost: bool
) -> None:
    environment = Environment()
    environment.runs.clear()
    assert environment.judge(**changes).lost == ([environment.id] if lost else [])


def test_another_run_id_than_the_workspace_s_is_noticed() -> None:
    checks = Environment().judge(run_id="another")
    assert len(checks.complaints) == 1
    assert "names run another" in checks.complaints[0]


def test_an_event_that_is_not_in_the_ledger_is_noticed() -> None:
    environment = Environment()
    checks = judge(
        [PlannedEvent(id=environment.id, notification={})],
        table=environment.table,
        runs=environment.runs.all(),
    )
    assert checks.complaints == [f"{environment.id} has no submission, and 1 runs"]


@pytest.mark.parametrize(
    ("changes", "prefix"),
    [
        ({}, "log:"),
        ({"state": State.HELD, "reason": "why"}, "attention:"),
        ({"state": State.SUBMITTED, "due": START}, "due:"),
    ],
)
def test_a_missing_row_of_an_index_is_noticed(changes: dict[str, object], prefix: str) -> None:
    environment = Environment()
    environment.judge(**changes)
    (row,) = environment.table.page(prefix, prefix[:-1] + ";").rows
    environment.table.transact([Delete(row.key)])
    assert any(row.key in complaint for complaint in environment.judge().complaints)


def test_a_row_that_belongs_to_nothing_is_noticed() -> None:
    environment = Environment()
    environment.table.transact([Merge("due:20270327T120000.000000Z:x", {"state": "pending"})])
    assert not environment.judge().ok


def test_the_table_blames_the_faults_that_an_event_met() -> None:
    book = FaultBook()
    book.note("POST: 500", "a")
    book.note("POST: 500", "b")
    checks = Checks(lost=["a"], doubled=["c"])
    assert checks.table(book) == [
        {"fault": NO_FAULT, "injected": 0, "lost": 0, "doubled": 1},
        {"fault": "POST: 500", "injected": 2, "lost": 1, "doubled": 0},
    ]


def test_the_same_seed_makes_the_same_plan_and_another_one_another() -> None:
    plans = [make_plan(ChaosOptions(events=50, seed=seed)) for seed in (1, 1, 2)]
    assert plans[0] == plans[1] != plans[2]


def test_every_event_comes_two_to_four_times_and_more_and_every_crash_point_is_planned() -> None:
    options = ChaosOptions(events=200, seed=1, crashes=2)
    deliveries = [one for part in make_plan(options).rounds for one in part]
    counts = Counter(one.planned.id for one in deliveries)
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


def test_facts_come_from_the_name_alone() -> None:
    path = f"incoming/{START.timestamp():.0f}-000001.csv"
    facts = facts_by_name("DataStorage", "data", path)
    assert facts == facts_by_name("Other", "data", path)
    assert facts.last_modified == START


@pytest.fixture
def storage() -> Iterator[tuple[HttpServer, list[str]]]:
    """Give a service that notes what reaches it."""
    reached: list[str] = []

    def handle(request: Request) -> Answer:
        reached.append(request.path)
        return Answer(body=b"done")

    with HttpServer(handle) as server:
        yield server, reached


@pytest.mark.parametrize("fault", list(StorageFault))
def test_a_storage_fault_is_carried_out_or_not_and_never_answered_well(
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


def test_chance_outlasts_a_client_s_retries_now_and_then_and_stops_when_told() -> None:
    noted: list[StorageFault] = []
    chance = StorageChance("seed", share=0.05, note=noted.append)
    results = [chance.decide() for _ in range(5000)]
    assert [one for one in results if one is not None] == noted
    text = "".join("x" if one else "." for one in results)
    assert "x" * OUTAGE_REQUESTS in text
    assert set(noted) == set(StorageFault)
    chance.share = 0.0
    assert {chance.decide() for _ in range(100)} == {None}


def test_a_broken_tls_record_is_an_error_of_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    def handle(_: Request) -> Answer | Misbehaviour:
        return Fault(fault_kind=FaultKind.BROKEN_TLS, accepted=True).apply(Answer)

    with (
        HttpServer(handle, tls=context) as server,
        kept_alive_session() as session,
        pytest.raises(requests.exceptions.SSLError),
    ):
        session.post(server.url, data=b"{}", verify=str(file), timeout=10)


def test_the_clock_of_the_longest_run_moves_on_by_less_than_what_is_given_up_after() -> None:
    options = ChaosOptions(events=20_000)
    assert options.rounds * timedelta(minutes=40) < timedelta(hours=24)
