from typing import Any, Optional, TypedDict, Union, final

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

class Refusals(TypedDict):
    status: int
    not_json: int
    error: int
    no_choices: int
    truncated: int
    filtered: int
    no_model: int
    too_large: int
    outdated: int
    no_ttl: int
    too_many_models: int
    no_memory: int

class CacheCounters(TypedDict):
    hits: int
    stale_hits: int
    misses: int
    coalesced: int
    stores: int
    evictions: int
    expirations: int
    invalidations: int
    deletions: int
    entries: int
    bytes: int
    saved_prompt_tokens: int
    saved_completion_tokens: int
    saved_nanodollars: int
    refused: Refusals

class CacheLoaded(TypedDict):
    entries: int
    expired: int
    refused: int
    damaged: int
    damaged_bytes: int

@final
class Cache:
    def __new__(
        cls,
        *,
        flags: int,
        policy: int,
        shards: int,
        max_bytes: int,
        max_item_bytes: int,
        ttl: int,
        stale_while_revalidate: int,
        stale_if_error: int,
        models: tuple[tuple[str, int, int], ...],
    ) -> Cache: ...
    def look_up(
        self,
        namespace: str,
        model: object,
        messages: object,
        temperature: object,
        max_tokens: object,
        extra: dict[str, Any],
    ) -> Any: ...
    def look_up_text(
        self, namespace: str, request: Union[str, bytes]
    ) -> Optional[dict[str, Any]]: ...
    def canonical(
        self,
        model: object,
        messages: object,
        temperature: object,
        max_tokens: object,
        extra: dict[str, Any],
    ) -> Optional[str]: ...
    def generation(self) -> int: ...
    def put(
        self, namespace: str, request: Union[str, bytes], body: bytes, generation: int
    ) -> bool: ...
    def delete(self, namespace: str, request: Union[str, bytes]) -> bool: ...
    def key(self, request: Union[str, bytes]) -> str: ...
    def invalidate_model(self, model: str) -> None: ...
    def clear(self) -> None: ...
    def save(self, namespace: str, path: bytes) -> None: ...
    def load(self, namespace: str, path: bytes) -> CacheLoaded: ...
    def stats(self) -> CacheCounters: ...

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
    def cached(self) -> int: ...
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
        cache: Optional[Cache],
        cache_namespace: Optional[str],
    ) -> Pool: ...
    @property
    def cache_namespace(self) -> Optional[str]: ...
    def submit(
        self,
        queue: Queue,
        tag: int,
        method: str,
        path: str,
        body: Union[str, bytes, None],
        headers: Optional[tuple[tuple[str, str], ...]],
        timeouts: Optional[tuple[int, int, int, int, int]],
        cache_control: int,
    ) -> int: ...
    def cancel(self, call: int) -> None: ...
    def close(self) -> None: ...
    def stats(self) -> PoolStats: ...
