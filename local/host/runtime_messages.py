"""Replacements for the protobuf messages that the runtime reads and writes: plain objects with the same attributes."""

from __future__ import annotations


class Message:
    """A protobuf message of any kind. Its attributes are the arguments of its constructor."""

    def __init__(self, **fields: object) -> None:
        self.__dict__.update(fields)


class Typed(Message):
    """`TypedData`, a message with exactly one field."""

    def WhichOneof(self, _group: str) -> str:  # noqa: N802 - protobuf's name
        """Return the name of the one field."""
        return next(iter(self.__dict__))


class Input(Message):
    """`ParameterBinding`, the name of a parameter and its data."""

    def __init__(self, name: str, data: Typed) -> None:
        super().__init__(name=name, data=data)

    def WhichOneof(self, _group: str) -> str:  # noqa: N802 - protobuf's name
        """Return `data`. Shared memory is never used."""
        return "data"


class StatusResult(Message):
    """The status of a call."""

    Failure = 0
    Success = 1


class SameSite:
    """The SameSite rule of a cookie."""

    Lax, Strict, ExplicitNone = range(1, 4)


setattr(SameSite, "None", 0)  # a keyword of Python, so the class body cannot contain it


class Cookie(Message):
    """A cookie of an HTTP response."""

    SameSite = SameSite


class BindingInfo(Message):
    """The direction and the data type of a binding."""

    out, inout = 1, 2
    undefined, string, binary, stream = range(4)


setattr(BindingInfo, "in", 0)


class Protos:
    """The module of message classes that the runtime expects."""

    StatusResult = StatusResult
    BindingInfo = BindingInfo
    TypedData = Typed
    RpcHttpCookie = Cookie

    def __getattr__(self, name: str) -> type[Message]:
        return Message


PROTOS = Protos()
