"""The identity endpoint stand-in, asked by hand and by azure-identity."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import CredentialUnavailableError, ManagedIdentityCredential

from local.standins.identity import IdentityEndpoint, IdentityFault
from local.standins.tokens import read_token

RESOURCE = "https://management.azure.com"
NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def endpoint() -> Iterator[IdentityEndpoint]:
    with IdentityEndpoint(
        client_ids=["mine"], clock=lambda: NOW, lifetime=timedelta(hours=1)
    ) as running:
        yield running


def ask(endpoint: IdentityEndpoint, header: str | None = None, **query: Any) -> requests.Response:
    sent = {"api-version": "2019-08-01", "resource": RESOURCE, **query}
    headers = {"X-IDENTITY-HEADER": header or endpoint.header}
    with requests.Session() as session:
        return session.get(endpoint.url, params=sent, headers=headers, timeout=10)


def test_a_token_is_for_the_resource_and_expires(endpoint: IdentityEndpoint) -> None:
    answer = ask(endpoint).json()
    claims = read_token(answer["access_token"], secret=endpoint.secret)
    assert claims["aud"] == RESOURCE
    assert claims["exp"] == int(answer["expires_on"]) == int(NOW.timestamp()) + 3600
    assert answer["token_type"] == "Bearer"
    assert endpoint.counts == {RESOURCE: 1}


def test_requests_that_break_the_protocol_are_refused(endpoint: IdentityEndpoint) -> None:
    assert ask(endpoint, header="wrong").status_code == 403
    assert ask(endpoint, **{"api-version": "2017-09-01"}).status_code == 400
    assert ask(endpoint, resource=None).status_code == 400
    assert ask(endpoint, client_id="other").status_code == 400
    assert ask(endpoint, client_id="mine").json()["client_id"] == "mine"
    with requests.Session() as session:
        assert session.get(endpoint.url + "/more", timeout=10).status_code == 404
        assert session.post(endpoint.url, timeout=10).status_code == 405
    assert endpoint.counts == {RESOURCE: 1}


def test_azure_identity_finds_it_and_keeps_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    with IdentityEndpoint() as endpoint:
        for name, value in endpoint.environment.items():
            monkeypatch.setenv(name, value)
        with ManagedIdentityCredential() as credential:
            tokens = {credential.get_token(f"{RESOURCE}/.default").token for _ in range(3)}
        assert len(tokens) == 1
        assert endpoint.counts == {RESOURCE: 1}


@pytest.mark.parametrize("status", [400, 404])
def test_azure_identity_gets_the_faults(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    with IdentityEndpoint() as endpoint:
        for name, value in endpoint.environment.items():
            monkeypatch.setenv(name, value)
        endpoint.fail(IdentityFault(status=status))
        with ManagedIdentityCredential() as credential:
            with pytest.raises((ClientAuthenticationError, CredentialUnavailableError)):
                credential.get_token(f"{RESOURCE}/.default")
            assert credential.get_token(f"{RESOURCE}/.default").token


def test_faults_come_in_order_and_can_be_removed(endpoint: IdentityEndpoint) -> None:
    endpoint.fail(
        IdentityFault(status=429, headers={"Retry-After": "3"}), IdentityFault(status=None)
    )
    assert ask(endpoint).headers["Retry-After"] == "3"
    with pytest.raises(requests.ConnectionError):
        ask(endpoint)
    endpoint.fail(IdentityFault())
    endpoint.recover()
    assert ask(endpoint).status_code == 200
