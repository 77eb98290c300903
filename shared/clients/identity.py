"""Tokens of this app's identity: one credential for the process, and one request at a time for each scope.

azure-identity caches tokens, but has no lock: 32 threads without a token make 32 requests. So each scope has a token
here, and a request runs in a thread of its own. All threads that need the token wait for the request together, at most
until its deadline, and share its error.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from shared.clients.http_connections import ClientTransport
from shared.core.errors import TokenUnavailable
from shared.core.redaction import redact

if TYPE_CHECKING:
    from azure.core.credentials import (
        AccessToken,
        AccessTokenInfo,
        SupportsTokenInfo,
        TokenRequestOptions,
    )

REFRESH_BEFORE = timedelta(seconds=300)
"""A token with less time left is not used. azure-identity has the same limit."""

DEADLINE = timedelta(seconds=30)
"""Of a request for a token. The platform's identity endpoint answers within a second."""

_QUIET = {
    "azure.core.pipeline.policies.http_logging_policy": logging.WARNING,
    "azure.identity": logging.ERROR,
    "msal": logging.ERROR,
}
"""Loggers that write each request to the identity endpoint, and at DEBUG each answer. azure-identity warns that there
is no identity, whatever the endpoint answered. `TokenUnavailable` carries the answer."""


@dataclass(frozen=True, slots=True)
class _Request:
    """A request for a token."""

    began: float
    """When it began, in seconds of the monotonic clock."""
    token: Future[AccessTokenInfo] = field(default_factory=Future)
    """The token, or `TokenUnavailable`, when the request has ended."""


@dataclass(slots=True)
class _Slot:
    """The token of one scope."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while the fields are read or changed, never during a request."""
    token: AccessTokenInfo | None = None
    """The newest token."""
    requests: dict[str | None, _Request] = field(default_factory=dict)
    """The requests under way, by their claims."""


class _Answers(threading.local):
    """The identity endpoint's last answer to this thread."""

    # No `__slots__`: all threads would share the value.
    refusal: tuple[int, str] | None = None
    """The status and the redacted text, if the endpoint refused."""


class Tokens:
    """The `TokenCredential` of every client in this process.

    It is the platform's managed identity if there is one, and otherwise the developer's own login (`az login`, Visual
    Studio Code, environment variables). azure-identity is imported, and its credential made, with the first token.

    Args:
        environment: The app settings. They must agree with the process's environment, from which azure-identity reads
            the identity endpoint's URL.
        client_id: The user-assigned identity. The default is the setting `AZURE_CLIENT_ID`, or else the
            system-assigned identity.
        now: Returns the current time in seconds since the epoch, the unit of `expires_on`.
        deadline: Of a request for a token.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        client_id: str | None = None,
        now: Callable[[], float] = time.time,
        deadline: timedelta = DEADLINE,
    ) -> None:
        self._environment = environment
        self._client_id = client_id or environment.get("AZURE_CLIENT_ID", "").strip() or None
        self._now = now
        self._deadline = deadline
        self._lock = threading.Lock()
        self._credential: SupportsTokenInfo | None = None
        self._slots: dict[tuple[str | None, ...], _Slot] = {}
        self._others: dict[str, Tokens] = {}
        self._answers = _Answers()
        for name, level in _QUIET.items():
            logging.getLogger(name).setLevel(level)

    @property
    def managed(self) -> bool:
        """Whether the platform offers a managed identity."""
        environment = self._environment
        app_service = environment.get("IDENTITY_ENDPOINT") and environment.get("IDENTITY_HEADER")
        return bool(app_service or environment.get("MSI_ENDPOINT"))

    def describe(self) -> str:
        """Return a name of the identity for messages."""
        if not self.managed:
            return "your own login"
        if self._client_id:
            return f"the managed identity with client id {self._client_id}"
        return "the system-assigned managed identity"

    def for_client(self, client_id: str | None) -> Tokens:
        """Return the tokens of a user-assigned identity, or of the developer's login if there is no managed identity.

        Args:
            client_id: The client id that a connection names (`X__clientId`). None stands for this identity.
        """
        if not self.managed or client_id in (None, self._client_id):
            return self
        with self._lock:
            other = self._others.get(client_id)
            if other is None:
                other = Tokens(
                    self._environment,
                    client_id=client_id,
                    now=self._now,
                    deadline=self._deadline,
                )
                self._others[client_id] = other
            return other

    def get_token(
        self,
        *scopes: str,
        claims: str | None = None,
        tenant_id: str | None = None,
        enable_cae: bool = False,
        **kwargs: Any,  # noqa: ANN401, ARG002 — the protocol of azure-core
    ) -> AccessToken:
        """Return a token. See `get_token_info`."""
        from azure.core.credentials import AccessToken

        options: TokenRequestOptions = {"enable_cae": enable_cae}
        if claims:
            options["claims"] = claims
        if tenant_id:
            options["tenant_id"] = tenant_id
        token = self.get_token_info(*scopes, options=options)
        return AccessToken(token.token, token.expires_on)

    def get_token_info(
        self, *scopes: str, options: TokenRequestOptions | None = None
    ) -> AccessTokenInfo:
        """Return a token with more than 300 s left, if the identity endpoint gives such tokens.

        Args:
            scopes: Usually one, `https://…/.default`.
            options: azure-core's options. If they hold `claims`, since a service refused the last token, a new token is
                requested.

        Raises:
            TokenUnavailable: The identity gives no token, or none before the deadline.
        """
        options = options or {}
        slot, claims = self._slot((*scopes, options.get("tenant_id"))), options.get("claims")
        with slot.lock:
            if slot.token is not None and not claims and self._is_fresh(slot.token):
                return slot.token
            request = slot.requests.get(claims)
            if request is None:
                request = slot.requests[claims] = _Request(time.monotonic())
                threading.Thread(
                    target=self._carry_out,
                    args=(slot, claims, request, scopes, options),
                    name="token",
                    daemon=True,
                ).start()
        return self._wait(request, scopes)

    def close(self) -> None:
        """Close the credential's connections. The next token opens new ones."""
        with self._lock:
            credential, self._credential = self._credential, None
            others = list(self._others.values())
        if credential is not None:
            credential.close()
        for other in others:
            other.close()

    # A credential is a context manager: azure-core's `SupportsTokenInfo` requires it.
    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _is_fresh(self, token: AccessTokenInfo) -> bool:
        return token.expires_on - self._now() > REFRESH_BEFORE.total_seconds()

    def _slot(self, key: tuple[str | None, ...]) -> _Slot:
        with self._lock:
            return self._slots.setdefault(key, _Slot())

    def _carry_out(
        self,
        slot: _Slot,
        claims: str | None,
        request: _Request,
        scopes: tuple[str, ...],
        options: TokenRequestOptions,
    ) -> None:
        """Request a token for all threads that wait for it."""
        token: AccessTokenInfo | None = None
        failure: BaseException | None = None
        try:
            token = self._request(*scopes, options=options)
        except BaseException as error:  # noqa: BLE001 — the waiting threads raise it
            failure = error
        with slot.lock:
            del slot.requests[claims]
            slot.token = token or slot.token
        if token is not None:
            request.token.set_result(token)
        else:
            request.token.set_exception(failure)

    def _wait(self, request: _Request, scopes: tuple[str, ...]) -> AccessTokenInfo:
        """Wait for the token of a request, at most until the deadline that all its threads share."""
        remaining = request.began + self._deadline.total_seconds() - time.monotonic()
        try:
            return request.token.result(max(remaining, 0))
        except TokenUnavailable as error:
            # A new error for each thread: each would add its own traceback to a shared one.
            raise TokenUnavailable(str(error)) from error.__cause__
        except TimeoutError as error:
            age = time.monotonic() - request.began
            raise TokenUnavailable(
                f"no token for {' '.join(scopes)} from {self.describe()}: it has not answered for {age:.0f} s. "
                "The app asks it again with the next event"
            ) from error

    def _request(self, *scopes: str, options: TokenRequestOptions) -> AccessTokenInfo:
        self._answers.refusal = None
        try:
            return self._built().get_token_info(*scopes, options=options)
        except Exception as error:
            # If an endpoint's answer is malformed, azure-identity and msal raise errors of many classes
            # (JSONDecodeError, AttributeError, …). Each of them means that there is no token.
            raise TokenUnavailable(self._explain(error, scopes)) from error

    def _built(self) -> SupportsTokenInfo:
        with self._lock:
            if self._credential is None:
                self._credential = self._build()
            return self._credential

    def _build(self) -> SupportsTokenInfo:
        from azure.identity import DefaultAzureCredential, ManagedIdentityCredential

        if not self.managed:
            return DefaultAzureCredential(exclude_managed_identity_credential=True)
        # azure-core's own time-outs are five minutes, for each of many tries.
        return ManagedIdentityCredential(
            client_id=self._client_id,
            raw_response_hook=self._note,
            transport=ClientTransport(
                connection_timeout=self._deadline / 6,
                read_timeout=self._deadline / 3,
                longest_sleep=self._deadline / 30,
            ),
            timeout=self._deadline.total_seconds(),
            retry_total=3,
            retry_read=1,
        )

    def _note(self, response: Any) -> None:  # noqa: ANN401 — azure-core's PipelineResponse
        """Keep the endpoint's refusal for the message."""
        # azure-identity reports most refusals as a missing identity, whatever the endpoint answered.
        http = response.http_response
        self._answers.refusal = None
        if http.status_code >= 400:
            self._answers.refusal = (
                http.status_code,
                redact(http.text(encoding="utf-8"), limit=300),
            )

    def _explain(self, error: Exception, scopes: tuple[str, ...]) -> str:
        """Return the message of `TokenUnavailable`: the finding, and how to fix it."""
        failed = f"no token for {' '.join(scopes)} from {self.describe()}"
        details = redact(str(error), limit=500)
        if not self.managed:
            return (
                f"{failed}: the platform offers no managed identity (IDENTITY_ENDPOINT is not set), and no login was "
                f"found. Run `az login`. {details}"
            )
        if self._answers.refusal is not None:
            status, text = self._answers.refusal
            advice = (
                "Check that the identity is assigned to this app. A new assignment takes some minutes to take effect"
                if status < 500 and status != 429
                else "The identity endpoint is overloaded or fails. The app asks it again with the next event"
            )
            return f"{failed}: the identity endpoint answered {status} ({text}). {advice}"
        return (
            f"{failed}: the identity endpoint gave no usable answer ({type(error).__name__}: {details}). "
            "The app asks it again with the next event"
        )
