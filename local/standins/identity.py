"""The managed identity endpoint of App Service and Functions (2019-08-01), on loopback.

It returns a token for any resource to a caller that sends the secret header, and counts the tokens. The workspace
stand-in has the same signing secret, so it can check the tokens.

As a program, `python -m local.standins.identity`, it prints one JSON line when it is ready. The environment variables
`LOCAL_TOKEN_SECRET` (hex) and `IDENTITY_HEADER` set its secrets.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import threading
import uuid
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from local.closeable import Closeable
from local.standins.http_server import Answer, HttpServer, IncomingRequest, Misbehaviour, Wire
from local.standins.tokens import sign_token

API_VERSION = "2019-08-01"
PATH = "/msi/token"
ISSUER = "https://sts.windows.net/00000000-0000-0000-0000-00000000feed/"
OBJECT_ID = "11111111-1111-1111-1111-111111111111"


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityFault:
    """The fault that one request gets instead of a token."""

    status: int | None = 500
    """The HTTP status. None closes the connection without an answer."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """The headers of the answer, such as `Retry-After`."""
    wait: timedelta = timedelta()
    """The longest wait before the answer."""


class IdentityEndpoint(Closeable):
    """A running identity endpoint, from construction until `close`."""

    def __init__(
        self,
        *,
        secret: bytes | None = None,
        header: str | None = None,
        client_ids: Collection[str] | None = None,
        lifetime: timedelta = timedelta(hours=24),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        port: int = 0,
    ) -> None:
        """Start the endpoint.

        Args:
            secret: The secret that signs the tokens. None makes a new one.
            header: The value that callers must send as `X-IDENTITY-HEADER`. None makes a new one.
            client_ids: The user-assigned identities that exist. None accepts any.
            lifetime: How long a token is valid.
            clock: Returns the current time (timezone-aware).
            port: The port. 0 takes a free one.
        """
        self.secret = secret or secrets.token_bytes(32)
        """The secret that signs the tokens. The workspace stand-in needs it."""
        self.header = header or uuid.uuid4().hex
        """The value that callers must send as `X-IDENTITY-HEADER`."""
        self.counts: Counter[str] = Counter()
        """The number of requests that got a token, by resource."""
        self._client_ids = client_ids
        self._lifetime = lifetime
        self._clock = clock
        self._faults: deque[IdentityFault] = deque()
        self._lock = threading.Lock()
        self._server = HttpServer(self._handle, port=port)
        self.url = self._server.url + PATH

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables by which azure-identity finds the endpoint."""
        return {"IDENTITY_ENDPOINT": self.url, "IDENTITY_HEADER": self.header}

    def fail(self, *faults: IdentityFault) -> None:
        """Make the next requests fail, with one fault each, in this order."""
        with self._lock:
            self._faults.extend(faults)

    def recover(self) -> int:
        """Remove the faults that no request has got yet, and return their number."""
        with self._lock:
            removed = len(self._faults)
            self._faults.clear()
            return removed

    def make_token(self, resource: str, *, expires: datetime | None = None) -> str:
        """Return a token like those of the endpoint, without a request."""
        now = self._clock()
        claims = {
            "aud": resource,
            "iss": ISSUER,
            "oid": OBJECT_ID,
            "iat": int(now.timestamp()),
            "nbf": int(now.timestamp()),
            "exp": int((expires or now + self._lifetime).timestamp()),
        }
        return sign_token(claims, secret=self.secret)

    def close(self) -> None:
        """Stop the endpoint. Idempotent."""
        self._server.close()

    def _handle(self, request: IncomingRequest) -> Answer | Misbehaviour:
        if request.path != PATH:
            return _refuse(404, f"the only path is {PATH}")
        if request.method != "GET":
            return _refuse(405, "the only method is GET")
        if not secrets.compare_digest(request.headers.get("X-IDENTITY-HEADER", ""), self.header):
            return _refuse(403, "X-IDENTITY-HEADER is missing or wrong")
        with self._lock:
            fault = self._faults.popleft() if self._faults else None
        if fault is not None:
            return lambda wire: _misbehave(wire, fault)
        query = request.query
        if query.get("api-version") != API_VERSION:
            return _refuse(400, f"api-version must be {API_VERSION}")
        resource = query.get("resource")
        if not resource:
            return _refuse(400, "resource is missing")
        client_id = query.get("client_id")
        if client_id and self._client_ids is not None and client_id not in self._client_ids:
            return _refuse(400, "there is no user-assigned identity with that client_id")
        with self._lock:
            self.counts[resource] += 1
        expires = self._clock() + self._lifetime
        return Answer.json(
            {
                "access_token": self.make_token(resource, expires=expires),
                "client_id": client_id or OBJECT_ID,
                "expires_on": str(int(expires.timestamp())),
                "resource": resource,
                "token_type": "Bearer",
            }
        )


def _refuse(status: int, message: str) -> Answer:
    return Answer.json({"statusCode": status, "message": message}, status=status)


def _misbehave(wire: Wire, fault: IdentityFault) -> None:
    wire.wait(fault.wait.total_seconds())
    if fault.status is not None:
        body = json.dumps(
            {"statusCode": fault.status, "message": "a fault that was asked for"}
        ).encode()
        answer = Answer(status=fault.status, headers=fault.headers, body=body)
        wire.send(answer.to_bytes(close=True))


def main() -> None:
    """Run the endpoint as a program until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m local.standins.identity", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    port: int = parser.parse_args().port
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    secret = bytes.fromhex(os.environ.get("LOCAL_TOKEN_SECRET", "")) or None
    with IdentityEndpoint(
        secret=secret, header=os.environ.get("IDENTITY_HEADER"), port=port
    ) as endpoint:
        # The parent process needs both secrets. They are valid for this process's tokens only.
        line = {"url": endpoint.url, "environment": endpoint.environment}
        if secret is None:
            line["secret"] = endpoint.secret.hex()
        print(json.dumps(line), flush=True)
        stopped.wait()


if __name__ == "__main__":
    main()
