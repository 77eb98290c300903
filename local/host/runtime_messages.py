"""Stand-ins for the protobuf messages that the runtime reads and writes: plain objects with the same attributes."""

from __future__ import annotations


class Message:
    """A protobuf message of any kind: keeps what it is given."""

    def __init__(self, **fields: object) -> None:
        self.__dict__.update(fields)


class Typed(Message):
    """`TypedData`: exactly one field, and its name can be asked for."""

    def WhichOneof(self, _group: str) -> str:  # noqa: N802 - protobuf's name
        """Return the name of the one field."""
        return next(iter(self.__dict__))


class Input(Message):
    """`ParameterBinding`: a parameter's name and its data."""

    def __init__(self, name: str, data: Typed) -> None:
        super().__init__(name=name, data=data)

    def WhichOneof(self, _group: str) -> str:  # noqa: N802 - protobuf's name
        """Return `data`: never shared memory."""
        return "data"


class StatusResult(Message):
    """How a call ended."""

    Failure = 0
    Success = 1


class SameSite:
    """A cookie's rule."""

    Lax, Strict, ExplicitNone = range(1, 4)


setattr(SameSite, "None", 0)  # a keyword, so it cannot be written above


class Cookie(Message):
    """A cookie."""

    SameSite = SameSite


class BindingInfo(Message):
    """Directions are 0 in, 1 out, 2 inout; data types 0 undefined, 1 string, 2 binary, 3 stream."""

    out, inout = 1, 2
    undefined, string, binary, stream = range(4)


setattr(BindingInfo, "in", 0)


class Protos:
    """The module of message classes that the runtime asks for."""

    StatusResult = StatusResult
    BindingInfo = BindingInfo
    TypedData = Typed
    RpcHttpCookie = Cookie

    def __getattr__(self, name: str) -> type[Message]:
        return Message


PROTOS = Protos()
