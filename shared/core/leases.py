"""How long a claim belongs to the process that made it, and how that keeps a lease and its POST apart."""

from __future__ import annotations

from datetime import timedelta

LEASE = timedelta(minutes=10)
"""How long a claim belongs to the process that made it. It is far above the deadline of a POST."""


MAX_CLAIM_AGE = timedelta(seconds=60)
"""A POST is never sent later than this after its claim, so that it ends well before the lease does."""


POST_DEADLINE = timedelta(minutes=2)
"""The longest time that a POST may take, from its start (`clients.transport.DEADLINE`)."""
