"""What the errors of Table Storage mean for the ledger.

The service answers 409, 404 or 412 if a precondition of an operation does not hold (a *conflict*), and 400 or 413 if
it will never take the operation (a *refusal*). Every other error, and no answer, means that it may have been carried
out. The sets below name the service's error codes (Microsoft Learn: Table service error codes).
"""

from __future__ import annotations


class RowConflict(Exception):
    """A precondition did not hold: the row exists, is missing or has another etag.

    The transaction was not carried out, with one exception: if the client sent it twice, the second attempt met the
    first.
    """


class RowRefused(Exception):
    """The service refuses the operations: one is too large, or two have the same row key. A retry cannot help."""


class TableUnavailable(Exception):
    """There is no usable answer. The operations may have been carried out."""


CONFLICTS = {
    "EntityAlreadyExists",
    "UpdateConditionNotSatisfied",
    "ConditionNotMet",
    "ResourceNotFound",
    "EntityNotFound",
}


REFUSALS = {
    "InvalidInput",
    "InvalidDuplicateRow",
    "EntityTooLarge",
    "PropertyValueTooLarge",
    "RequestBodyTooLarge",
    "CommandsInBatchActOnDifferentPartitions",
    "OutOfRangeInput",
}
