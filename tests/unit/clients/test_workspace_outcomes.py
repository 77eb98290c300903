"""The outcome of a POST for each answer and each fault of the network, over real sockets on loopback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import timedelta

import pytest
from azure.core.credentials import AccessTokenInfo, TokenRequestOptions

from local.standins.http_server import Answer, HttpServer, RequestHandler, Wire
from local.standins.identity import IdentityEndpoint
from local.standins.workspace.runs import EnumStyle
from local.standins.workspace.server import WorkspaceStandIn
from shared.clients.identity import Tokens
from shared.clients.transport import CONNECT_TIMEOUT, Transport, host_of
from shared.clients.workspace import WorkspaceClient
from shared.config.model import Pipeline
from shared.core.errors import CallError, TokenUnavailable
from shared.core.outcomes import Outcome, OutcomeKind, ServiceAnswer
from shared.pipelines.published_pipeline import PublishedPipeline
from shared.pipelines.values import DataPath, DatasetReference, RunValues
from tests.unit.clients.doubles import SCOPE, TOKEN, Authority, StaticTokens, unused_port

pytestmark = pytest.mark.large

RUN = b'{"Id": "run-1", "Status": {"StatusCode": "0"}}'


def submit(
    url: str, *, tokens: Tokens | None = None, connect_timeout: timedelta = CONNECT_TIMEOUT
) -> Outcome:
    tokens = tokens or StaticTokens()
    pipeline = Pipeline(name="p", kind="published_pipeline", endpoint=url, scope=SCOPE)
    hosts = frozenset({host_of(url)})
    opened = Transport(tokens, hosts=hosts, connect_timeout=connect_timeout)
    with closing(opened) as transport:
        outcome = WorkspaceClient(transport, tokens=tokens).submit(pipeline, b'{"a": 1}')
    assert TOKEN not in repr(outcome)
    return outcome


def submit_to(handler: RequestHandler) -> Outcome:
    with HttpServer(handler) as server:
        return submit(f"{server.url}/x")


def send(data: bytes) -> RequestHandler:
    return lambda _: lambda wire: wire.send(data)


def test_a_2xx_with_a_run_id_is_started() -> None:
    outcome = submit_to(lambda _: Answer(body=RUN))
    assert outcome.kind is OutcomeKind.STARTED
    assert (outcome.run_id, outcome.run_status, outcome.status) == ("run-1", "NotStarted", 200)
    assert outcome.request_id


def test_a_2xx_without_an_id_is_unknown() -> None:
    assert submit_to(lambda _: Answer(body=b"{}")).kind is OutcomeKind.UNKNOWN


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, OutcomeKind.REFUSED),
        (400, OutcomeKind.REFUSED),
        (401, OutcomeKind.FORBIDDEN),
        (403, OutcomeKind.FORBIDDEN),
        (404, OutcomeKind.REFUSED),
        (408, OutcomeKind.UNKNOWN),
        (422, OutcomeKind.REFUSED),
        (429, OutcomeKind.THROTTLED),
        (500, OutcomeKind.UNKNOWN),
        (503, OutcomeKind.UNKNOWN),
    ],
)
def test_a_status_decides(status: int, kind: OutcomeKind) -> None:
    headers = {"Location": "/y", "Retry-After": "7"}
    outcome = submit_to(lambda _: Answer(status=status, headers=headers))
    assert (outcome.kind, outcome.status) == (kind, status)
    assert outcome.retry_after == timedelta(seconds=7)


def test_a_401_names_the_identity() -> None:
    message = submit_to(lambda _: Answer(status=401)).message or ""
    assert "your own login" in message
    assert "AzureML Data Scientist" in message


def test_a_refused_connection_means_not_sent() -> None:
    outcome = submit(f"http://127.0.0.1:{unused_port()}/x")
    assert outcome.kind is OutcomeKind.NOT_STARTED
    assert "refused" in (outcome.message or "")


def test_a_name_that_does_not_resolve_means_not_sent() -> None:
    outcome = submit("https://workspace.invalid/x")
    assert outcome.kind is OutcomeKind.NOT_STARTED
    assert "Failed to resolve" in (outcome.message or "")


def test_a_connection_that_is_never_accepted_means_not_sent(stack: ExitStack) -> None:
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
    address = listener.getsockname()
    for _ in range(4):  # the queue is full then, and the kernel drops what comes
        waiting = stack.enter_context(socket.socket())
        waiting.setblocking(False)
        waiting.connect_ex(address)
    outcome = submit(f"http://127.0.0.1:{address[1]}/x", connect_timeout=timedelta(seconds=0.3))
    assert outcome.kind is OutcomeKind.NOT_STARTED
    assert "timed out" in (outcome.message or "")


def test_a_tls_handshake_without_an_answer_means_not_sent(stack: ExitStack) -> None:
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    url = f"https://127.0.0.1:{listener.getsockname()[1]}/x"
    outcome = submit(url, connect_timeout=timedelta(seconds=0.3))
    assert outcome.kind is OutcomeKind.NOT_STARTED
    assert "timed out" in (outcome.message or "")


def test_no_token_means_not_sent() -> None:
    class NoTokens(StaticTokens):
        def get_token_info(
            self, *scopes: str, options: TokenRequestOptions | None = None
        ) -> AccessTokenInfo:
            raise TokenUnavailable("no token at all")

    outcome = submit("https://workspace.invalid/x", tokens=NoTokens())
    assert outcome == Outcome(kind=OutcomeKind.NOT_STARTED, message="no token at all")


@pytest.mark.parametrize("trusted", [False, True])
def test_a_refused_certificate_means_not_sent(trusted: bool, authority: Authority) -> None:
    # Either the authority is unknown, or the certificate is for another name.
    issuer = authority if trusted else Authority()
    requests: list[object] = []

    def note(request: object) -> Answer:
        requests.append(request)
        return Answer(body=RUN)

    with HttpServer(note, tls=issuer.server("other.example")) as server:
        outcome = submit(f"https://localhost:{server.port}/x")
    assert outcome.kind is OutcomeKind.NOT_STARTED
    assert "certificate verify failed" in (outcome.message or "")
    assert not requests


def test_tls_that_breaks_after_the_post_was_read_is_unknown(authority: Authority) -> None:
    read = bytearray()

    def serve(listener: socket.socket) -> None:
        raw, _ = listener.accept()
        with authority.server("localhost").wrap_socket(raw, server_side=True) as wrapped:
            while not read.endswith(b'{"a": 1}'):
                read.extend(wrapped.recv(65_536))
            socket.socket.sendall(wrapped, b"this is no TLS record" * 10)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        outcome = submit(f"https://localhost:{listener.getsockname()[1]}/x")
        thread.join()
    assert outcome.kind is OutcomeKind.UNKNOWN
    assert "SSL" in (outcome.message or "")
    assert read.startswith(b"POST /x HTTP/1.1")


@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(lambda _: lambda wire: None, id="dropped"),
        pytest.param(lambda _: Wire.reset, id="reset"),
        pytest.param(send(b"HTTP/1.1 200"), id="dropped in the status line"),
        pytest.param(send(b"nonsense\r\n\r\n"), id="not HTTP"),
        pytest.param(send(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + RUN), id="truncated"),
        pytest.param(
            send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc"),
            id="truncated chunk",
        ),
        pytest.param(
            send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"), id="bad chunk"
        ),
        pytest.param(
            send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Encoding: gzip\r\n\r\nabc"),
            id="bad encoding",
        ),
        pytest.param(
            send(b"HTTP/1.1 401 No\r\nContent-Length: 99\r\n\r\nx"), id="truncated refusal"
        ),
        pytest.param(lambda _: Answer(body=b" " * 2_000_000), id="too large"),
    ],
)
def test_an_answer_that_did_not_come_whole_is_unknown(handler: RequestHandler) -> None:
    outcome = submit_to(handler)
    assert outcome.kind is OutcomeKind.UNKNOWN
    assert outcome.request_id


@pytest.mark.parametrize("silent", [True, False])
def test_an_answer_that_does_not_come_in_time_is_unknown(
    silent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_within(monkeypatch, timedelta(seconds=1))

    def drip(wire: Wire) -> None:
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while wire.wait(60 if silent else 0.02):
            wire.send(b" ")

    outcome = submit_to(lambda _: drip)
    assert outcome.kind is OutcomeKind.UNKNOWN
    assert "ambiguous: a run may have started" in (outcome.message or "")


def send_within(monkeypatch: pytest.MonkeyPatch, deadline: timedelta) -> None:
    """Shorten the deadline of `send`, which the client has no reason to choose."""
    whole: Callable[..., ServiceAnswer] = Transport.send
    monkeypatch.setattr(
        Transport, "send", lambda *args, **options: whole(*args, **options, deadline=deadline)
    )


def test_a_proxy_that_refuses_the_connection_means_not_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{unused_port()}")
    outcome = submit("https://workspace.invalid/x")
    assert outcome.kind is OutcomeKind.NOT_STARTED
    assert "refused" in (outcome.message or "")


def test_an_older_error_that_is_being_handled_does_not_make_a_drop_a_failure_to_connect() -> None:
    def drop(_: object) -> Callable[[Wire], None]:
        return lambda wire: None

    port = unused_port()
    tokens = StaticTokens()
    with HttpServer(drop) as server:
        hosts = frozenset({host_of(server.url), f"127.0.0.1:{port}"})
        with closing(Transport(tokens, hosts=hosts)) as transport:
            try:
                transport.send("POST", f"http://127.0.0.1:{port}/x", scope=SCOPE, body=b"{}")
            except CallError:
                pipeline = Pipeline(
                    name="p", kind="published_pipeline", endpoint=f"{server.url}/x", scope=SCOPE
                )
                outcome = WorkspaceClient(transport, tokens=tokens).submit(pipeline, b"{}")
    assert outcome.kind is OutcomeKind.UNKNOWN


def test_an_endpoint_that_is_not_in_the_file_gets_nothing() -> None:
    tokens = StaticTokens()
    pipeline = Pipeline(
        name="p", kind="published_pipeline", endpoint="https://other.example/x", scope=SCOPE
    )
    with closing(Transport(tokens, hosts=frozenset())) as transport:
        outcome = WorkspaceClient(transport, tokens=tokens).submit(pipeline, b"{}")
    assert outcome.kind is OutcomeKind.NOT_STARTED
    assert "not the host of any endpoint" in (outcome.message or "")


@pytest.mark.parametrize("style", list(EnumStyle))
def test_the_stand_in_that_is_as_strict_as_the_sdks_models_starts_a_run(
    style: EnumStyle, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = RunValues(
        experiment="MyRestPipeline",
        parameters={"input_string": "sample_string3", "n": 3, "flag": True},
        data_paths={"input_datapath": DataPath(datastore="store", path="in/a +%41 #?'\"😀.csv")},
        datasets={
            "saved": "11111111-1111-1111-1111-111111111111",
            "registered": DatasetReference(name="sales", version="7"),
            "path": DataPath(datastore="store", path="a/b"),
        },
        tags={"team": "a"},
        properties={"p": "q"},
        description="d",
        run_type="HTTP",
        continue_on_step_failure=True,
    )
    with (
        IdentityEndpoint() as identity,
        WorkspaceStandIn(secret=identity.secret, enum_style=style) as workspace,
        Tokens(identity.environment) as tokens,
    ):
        for name, value in identity.environment.items():
            monkeypatch.setenv(name, value)
        endpoint = workspace.submit_url()
        pipeline = Pipeline(name="p", kind="published_pipeline", endpoint=endpoint, scope=SCOPE)
        with closing(Transport(tokens, hosts=frozenset({host_of(endpoint)}))) as transport:
            client = WorkspaceClient(transport, tokens=tokens)
            outcome = client.submit(
                pipeline, PublishedPipeline().build_body(values, correlation_id="0123-1")
            )
        (submitted,) = workspace.submitted
    assert (outcome.kind, outcome.message) == (OutcomeKind.STARTED, None)
    assert outcome.run_id
    assert outcome.run_status == "NotStarted"
    assert submitted["DataPathAssignments"]["input_datapath"]["RelativePath"] == (
        "in/a +%41 #?'\"😀.csv"
    )
    assert submitted["ParameterAssignments"]["flag"] == "True"
    assert submitted["tags"] == {"team": "a", "submission": "0123-1"}
