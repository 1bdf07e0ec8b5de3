from typing import Optional, TypedDict, Union, final

version: str

class ErrorCounts(TypedDict):
    cancelled: int
    closed: int
    connect: int
    connect_timeout: int
    write_timeout: int
    read_timeout: int
    pool_timeout: int
    total_timeout: int
    read: int
    write: int
    protocol: int
    decoding: int
    too_large: int
    other: int

class PoolStats(TypedDict):
    in_flight: int
    waiting: int
    submitted: int
    answered: int
    connections_opened: int
    connections_reused: int
    bytes_sent: int
    bytes_received: int
    errors: ErrorCounts

@final
class Reply:
    @property
    def result(self) -> int: ...
    @property
    def status(self) -> int: ...
    @property
    def reason(self) -> str: ...
    @property
    def body(self) -> bytes: ...
    @property
    def text(self) -> str: ...
    @property
    def headers(self) -> list[tuple[str, str]]: ...
    @property
    def sent(self) -> int: ...
    @property
    def message(self) -> str: ...

@final
class Queue:
    def __new__(cls) -> Queue: ...
    def fileno(self) -> int: ...
    def drain(self) -> list[tuple[int, Reply]]: ...

@final
class Pool:
    def __new__(
        cls,
        *,
        base_url: str,
        api_key: Optional[str],
        max_connections: int,
        max_keepalive: int,
        insecure: bool,
        ca_file: Optional[str],
        cert_file: Optional[str],
        key_file: Optional[str],
        proxy: Optional[str],
        headers: Optional[tuple[tuple[str, str], ...]],
        timeouts: tuple[int, int, int, int, int],
        keepalive_expiry: int,
        max_reply_bytes: int,
    ) -> Pool: ...
    def submit(
        self,
        queue: Queue,
        tag: int,
        method: str,
        path: str,
        body: Union[str, bytes, None],
        headers: Optional[tuple[tuple[str, str], ...]],
        timeouts: Optional[tuple[int, int, int, int, int]],
    ) -> int: ...
    def cancel(self, call: int) -> None: ...
    def close(self) -> None: ...
    def stats(self) -> PoolStats: ...
