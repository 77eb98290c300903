"""The faults of the workspace stand-in."""

from __future__ import annotations

import http.client
import json
import ssl
from pathlib import Path

import pytest
import requests
import trustme

from local.standins.http_server import Answer, HttpServer, IncomingRequest, Misbehaviour
from local.standins.identity import IdentityEndpoint
from local.standins.workspace.faults import FaultKind, WorkspaceFault, WorkspaceRoute
from local.standins.workspace.server import AUDIENCE, PIPELINE_ID, WorkspaceStandIn
from local.testing.app import Clock
from local.testing.workspace_caller import BODY, WorkspaceCaller
from shared.clients.http_connections import kept_alive_session


def test_an_orderly_fault_is_given_once_with_its_headers(caller: WorkspaceCaller) -> None:
    workspace = caller.workspace
    workspace.faults.add(
        WorkspaceFault(status=429, headers={"Retry-After": "7"}),
        WorkspaceFault(status=302, headers={"Location": "http://127.0.0.1:1/"}, body=""),
        WorkspaceFault(status=502, body="<html>gateway</html>"),
        WorkspaceFault(status=503, accepted=True),
    )
    assert caller.submit(BODY).headers["Retry-After"] == "7"
    assert caller.submit(BODY).headers["Location"] == "http://127.0.0.1:1/"
    html = caller.submit(BODY)
    assert (html.status_code, html.headers["Content-Type"]) == (502, "text/html")
    assert not workspace.runs.all()
    assert caller.submit(BODY).status_code == 503
    assert len(workspace.runs.all()) == 1
    assert caller.submit(BODY).status_code == 200


def test_a_refused_body_does_not_use_up_a_fault(caller: WorkspaceCaller) -> None:
    caller.workspace.faults.add(WorkspaceFault(status=500))
    assert caller.submit({}).status_code == 400
    assert caller.submit(BODY).status_code == 500


@pytest.mark.parametrize("accepted", [True, False])
@pytest.mark.parametrize("fault_kind", [FaultKind.DROP, FaultKind.RESET, FaultKind.HANG])
def test_a_lost_answer_leaves_a_run_only_if_it_was_accepted(
    caller: WorkspaceCaller, fault_kind: FaultKind, accepted: bool
) -> None:
    caller.workspace.faults.add(
        WorkspaceFault(fault_kind=fault_kind, accepted=accepted, seconds=0.05)
    )
    with pytest.raises(requests.ConnectionError):
        caller.submit(BODY)
    assert len(caller.workspace.runs.all()) == accepted


def test_a_truncated_answer_is_shorter_than_its_content_length(caller: WorkspaceCaller) -> None:
    caller.workspace.faults.add(WorkspaceFault(fault_kind=FaultKind.TRUNCATE))
    with pytest.raises(requests.exceptions.ChunkedEncodingError) as raised:
        caller.submit(BODY)
    assert "IncompleteRead" in str(raised.value)
    assert len(caller.workspace.runs.all()) == 1


@pytest.mark.parametrize("fault_kind", [FaultKind.DRIP, FaultKind.LATE])
def test_a_slow_answer_is_complete_at_the_end(
    caller: WorkspaceCaller, fault_kind: FaultKind
) -> None:
    caller.workspace.faults.add(WorkspaceFault(fault_kind=fault_kind, seconds=0.0001))
    (run,) = [caller.submit(BODY).json()["Id"]]
    assert run == caller.workspace.runs.all()[0].id


def test_an_answer_without_an_id_is_otherwise_complete(caller: WorkspaceCaller) -> None:
    caller.workspace.faults.add(WorkspaceFault(fault_kind=FaultKind.NO_ID))
    entity = caller.submit(BODY).json()
    assert "Id" not in entity
    assert entity["PipelineId"] == PIPELINE_ID


def test_a_hanging_answer_does_not_delay_the_close(clock: Clock) -> None:
    with IdentityEndpoint(clock=clock.now) as identity:
        workspace = WorkspaceStandIn(secret=identity.secret, clock=clock.now)
        workspace.faults.add(WorkspaceFault(fault_kind=FaultKind.HANG, seconds=3600))
        connection = http.client.HTTPConnection(
            "127.0.0.1", int(workspace.url.rpartition(":")[2]), timeout=10
        )
        headers = {
            "Authorization": f"Bearer {identity.make_token(AUDIENCE)}",
            "Content-Type": "application/json",
        }
        path = workspace.submit_url().removeprefix(workspace.url)
        connection.request("POST", path, json.dumps(BODY), headers)
        workspace.close()
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
            connection.getresponse()
        connection.close()


def test_a_rule_decides_for_every_request_until_it_is_cleared(caller: WorkspaceCaller) -> None:
    workspace = caller.workspace
    workspace.faults.rule(
        lambda route, request: (
            WorkspaceFault(status=500)
            if b"bad" in request.body and route is WorkspaceRoute.SUBMIT
            else None
        )
    )
    for _ in range(2):
        assert caller.submit({**BODY, "Description": "bad"}).status_code == 500
    assert caller.submit(BODY).status_code == 200
    workspace.faults.clear()
    assert caller.submit({**BODY, "Description": "bad"}).status_code == 200


def test_a_fault_waits_for_a_request_of_its_route(caller: WorkspaceCaller) -> None:
    caller.workspace.faults.add(WorkspaceFault(status=503, route=WorkspaceRoute.SEARCH))
    assert caller.submit(BODY).status_code == 200
    assert caller.search().status_code == 503
    assert caller.search().status_code == 200


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
