"""The errors a call can end with, by the names that httpx gave them.

A program that catches httpx's errors goes on doing so: where httpx has been imported,
an error raised is an instance of both classes. httpx is never imported from here.
"""

from __future__ import annotations

import sys
from typing import Any, Optional

from .messages import Request, Response

NOT_SENT = "not sent"
POSSIBLY_SENT = "possibly sent"
ANSWERED = "answered"
SENT = (NOT_SENT, POSSIBLY_SENT, ANSWERED)


class HolySheepError(Exception):
    """Base of all. `sent` says how far the request came: "not sent" (no byte of it left,
    safe to send again), "possibly sent" (the server may have acted on it) or "answered"."""

    request: Any
    sent: str

    def __init__(
        self, message: str, *, request: Optional[Request] = None, sent: str = NOT_SENT
    ) -> None:
        Exception.__init__(self, message)
        self.request = request
        self.sent = sent

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (_own_class(type(self)).__name__, self.args[0], dict(self.__dict__)))


class TransportError(HolySheepError):
    """No complete reply came."""


class TimeoutException(TransportError):
    """A time limit passed."""


class ConnectTimeout(TimeoutException):
    """Finding the host, TCP and TLS took too long."""


class ReadTimeout(TimeoutException):
    """The server was silent for too long."""


class WriteTimeout(TimeoutException):
    """The server took nothing of the request for too long."""


class PoolTimeout(TimeoutException):
    """No place among max_connections became free in time."""


class TotalTimeout(TimeoutException):
    """The deadline over the whole call passed."""


class NetworkError(TransportError):
    """The network failed."""


class ConnectError(NetworkError):
    """Host not found, refused, unreachable, or TLS failed."""


class ReadError(NetworkError):
    """The connection broke while reading."""


class WriteError(NetworkError):
    """The connection broke while sending."""


class ProxyError(TransportError):
    """The proxy refused."""


class RemoteProtocolError(TransportError):
    """The server broke HTTP: it closed early, or sent what isn't HTTP."""


class DecodingError(HolySheepError):
    """The body's content encoding is damaged."""


class ReplyTooLarge(HolySheepError):
    """The decompressed body is larger than max_reply_bytes."""


class PoolClosed(HolySheepError, RuntimeError):
    """The pool was closed before the call ended, or before it began."""


class ForkedError(HolySheepError, RuntimeError):
    """The call was made before a fork, and belongs to the parent process."""


class HTTPStatusError(HolySheepError):
    """The gateway answered with a status of 300 or more."""

    response: Any

    def __init__(
        self, message: str, *, request: Optional[Request], response: Optional[Response]
    ) -> None:
        super().__init__(message, request=request, sent=ANSWERED)
        self.response = response


_HTTPX_NAMES = {"TotalTimeout": "TimeoutException", "ReplyTooLarge": "RequestError"}
_WITHOUT_HTTPX = {"HolySheepError", "PoolClosed", "ForkedError"}


def _own_class(cls: type) -> type:
    """The class of this module behind a combined one."""
    return next(
        base for base in cls.__mro__ if base.__module__ == __name__ and "_own" not in base.__dict__
    )


def raised_class(cls: type) -> type:
    """`cls`, joined with httpx's class of the same name where httpx is loaded."""
    httpx = sys.modules.get("httpx")
    name = cls.__name__
    other = None if name in _WITHOUT_HTTPX else getattr(httpx, _HTTPX_NAMES.get(name, name), None)
    if other is None:
        return cls
    combined = cls.__dict__.get("_combined")
    if combined is None or other not in combined.__mro__:
        members = {"_own": cls, "__module__": __name__, "__doc__": cls.__doc__}
        combined = type(name, (cls, other), members)
        cls._combined = combined  # type: ignore[attr-defined]
    return combined


def _rebuild(name: str, message: str, state: dict[str, Any]) -> HolySheepError:
    """Undoes pickle, in a process that may or may not have httpx."""
    cls = raised_class(globals()[name])
    error: Any = cls.__new__(cls, message)
    Exception.__init__(error, message)
    for member, value in state.items():
        setattr(error, member.lstrip("_"), value)
    made: HolySheepError = error
    return made


_BY_RESULT: dict[int, type[HolySheepError]] = {
    -3: PoolClosed,
    -4: PoolClosed,
    -5: ForkedError,
    -6: ConnectError,  # no descriptor for a socket; httpx says so, too
    -10: ConnectError,
    -11: ConnectError,
    -12: ConnectError,
    -13: ProxyError,
    -20: ConnectTimeout,
    -21: WriteTimeout,
    -22: ReadTimeout,
    -23: PoolTimeout,
    -24: TotalTimeout,
    -30: ReadError,
    -31: WriteError,
    -32: RemoteProtocolError,
    -33: DecodingError,
    -34: ReplyTooLarge,
}


def transport_error(result: int, message: str, sent: int, request: Request) -> BaseException:
    """The error for a SHEEP_E_ number of holysheep.h."""
    if result == -1:
        return MemoryError(message)
    if result == -2:
        return ValueError(message)
    cls = raised_class(_BY_RESULT.get(result, TransportError))
    error: BaseException = cls(message, request=request, sent=SENT[sent])
    return error


def status_error(response: Response) -> BaseException:
    """The error for a status of 300 and up."""
    kinds = {3: "Redirect response", 4: "Client error", 5: "Server error"}
    kind = kinds.get(response.status_code // 100, "Invalid status code")
    message = (
        f"{kind} '{response.status_code} {response.reason_phrase}' for url '{response.request.url}'"
    )
    cls = raised_class(HTTPStatusError)
    error: BaseException = cls(message, request=response.request, response=response)
    return error
