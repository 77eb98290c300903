"""Tokens of this app's identity: one credential a process, one request a scope, and errors that say what to do.

azure-identity keeps a cache a credential but no lock: 32 cold threads make 32 requests. So each scope has its own token
here, and one request at a time. The request runs in a thread of its own. All threads that need the token wait for it
together, at most until its deadline, and share its failure.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

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
"""A token with less left is not used; azure-identity asks again from there on, too."""

DEADLINE = timedelta(seconds=30)
"""How long a token is waited for, from the beginning of its request. The platform's answers within a second."""

_QUIET = {
    "azure.core.pipeline.policies.http_logging_policy": logging.WARNING,
    "azure.identity": logging.ERROR,
    "msal": logging.ERROR,
}
"""Loggers that write each request, and at DEBUG each answer, of the identity endpoint. The warnings of azure-identity
say "no identity here" whatever the endpoint answered; `TokenUnavailable` says it better."""


@dataclass(frozen=True, slots=True)
class _Request:
    """A request for a token that is under way."""

    began: float
    """When it began, in seconds of the monotonic clock."""
    token: Future[AccessTokenInfo] = field(default_factory=Future)
    """The token, or `TokenUnavailable`, when it has ended."""


@dataclass(slots=True)
class _Slot:
    """The token of one scope."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while the fields are read or changed, never during a request."""
    token: AccessTokenInfo | None = None
    """The last one."""
    requests: dict[str | None, _Request] = field(default_factory=dict)
    """Requests that are under way, by their claims."""


class _Answers(threading.local):
    """How the identity endpoint refused this thread last: None, or the status and a redacted text."""

    refusal: tuple[int, str] | None = None  # no __slots__: threads would share them


class Tokens:
    """A `TokenCredential` for every client of this process.

    The platform's managed identity where it offers one, else the developer's own login (`az login`, Visual Studio
    Code, environment variables). azure-identity is imported, and its credential made, with the first token.

    Args:
        environment: The app settings. azure-identity reads the identity endpoint's address from the process's own
            environment, so these must be it, or agree with it.
        client_id: The user-assigned identity; default: the setting `AZURE_CLIENT_ID`, else the system-assigned one.
        now: Says the time in seconds since the epoch, as tokens do.
        deadline: How long a token is waited for.
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
        """Name the identity, for a person."""
        if not self.managed:
            return "your own login"
        if self._client_id:
            return f"the managed identity with client id {self._client_id}"
        return "the system-assigned managed identity"

    def for_client(self, client_id: str | None) -> Tokens:
        """Return the tokens of the user-assigned identity that a connection names (`X__clientId`).

        A developer has one login, whatever a connection names.
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
        """Return a token with at least 300 s left, if the identity gives such.

        Args:
            scopes: Usually one, `https://…/.default`.
            options: azure-core's; `claims` (a service refused the last token) asks for a new one.

        Raises:
            TokenUnavailable: There is none, or it did not come before the deadline.
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
        """Close the credential's connections. The tokens can be used again afterwards."""
        with self._lock:
            credential, self._credential = self._credential, None
            others = list(self._others.values())
        if credential is not None:
            credential.close()
        for other in others:
            other.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
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
        options: TokenRequestOptions | None,
    ) -> None:
        """Ask for a token, for all threads that wait for it."""
        try:
            token = self._ask(*scopes, options=options)
        except TokenUnavailable as error:
            with slot.lock:
                del slot.requests[claims]
            request.token.set_exception(error)
        else:
            with slot.lock:
                del slot.requests[claims]
                slot.token = token
            request.token.set_result(token)

    def _wait(self, request: _Request, scopes: tuple[str, ...]) -> AccessTokenInfo:
        """Wait for a request's token. A request that is older than the deadline is not waited for any more."""
        age = time.monotonic() - request.began
        try:
            return request.token.result(max(self._deadline.total_seconds() - age, 0))
        except TokenUnavailable as error:
            # An error of this thread's own: threads that raise one error together share its traceback.
            raise TokenUnavailable(str(error)) from error.__cause__
        except TimeoutError as error:
            age = time.monotonic() - request.began
            raise TokenUnavailable(
                f"no token of {self.describe()} for {' '.join(scopes)}: it has not answered for {age:.0f} s; "
                "it is asked again with the next event"
            ) from error

    def _ask(self, *scopes: str, options: TokenRequestOptions | None) -> AccessTokenInfo:
        self._answers.refusal = None
        try:
            return self._built().get_token_info(*scopes, options=options)
        except Exception as error:
            # All sorts come out of azure-identity and msal when an endpoint answers with something else than they
            # expect (JSONDecodeError, AttributeError, …), and each of them means that there is no token.
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
        # azure-core's own time-outs are five minutes, with ten retries, and it sleeps for as long as a `Retry-After`
        # says. So only a lost connection is retried, once, and both tries end before the deadline.
        seconds = self._deadline.total_seconds()
        return ManagedIdentityCredential(
            client_id=self._client_id,
            raw_response_hook=self._note,
            connection_timeout=seconds / 6,
            read_timeout=seconds / 3,
            retry_total=1,
            retry_status=0,
        )

    def _note(self, response: Any) -> None:  # noqa: ANN401 — azure-core's PipelineResponse
        """Remember how the endpoint refused: azure-identity reports most refusals as "no identity here"."""
        http = response.http_response
        self._answers.refusal = None
        if http.status_code >= 400:
            self._answers.refusal = (
                http.status_code,
                redact(http.text(encoding="utf-8"), limit=300),
            )

    def _explain(self, error: Exception, scopes: tuple[str, ...]) -> str:
        asked = f"{self.describe()} for {' '.join(scopes)}"
        if not self.managed:
            return (
                f"no token of {asked}: no managed identity is offered here (IDENTITY_ENDPOINT is not set) and no "
                f"login was found; run `az login`. {redact(str(error), limit=500)}"
            )
        if self._answers.refusal is not None:
            status, text = self._answers.refusal
            advice = (
                "check that the identity is assigned to this app; a new assignment takes some minutes"
                if status < 500 and status != 429
                else "the identity endpoint is busy or out of order; it is asked again with the next event"
            )
            return (
                f"no token of {asked}: the identity endpoint answered {status} ({text}); {advice}"
            )
        return (
            f"no token of {asked}: the identity endpoint gave no usable answer "
            f"({type(error).__name__}: {redact(str(error), limit=500)}); it is asked again with the next event"
        )
