"""Nothing is left behind, and nothing is lost where the system has nothing left."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import pytest

from holysheep import HolySheepPool
from support import MESSAGES, Certificates, ScriptedGateway, check_python, descriptors


def count_after(work: Any, times: int) -> tuple[int, int]:
    for _ in range(times):
        work()
    gc.collect()
    return descriptors(), threading.active_count()


def failing_construction(options: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        HolySheepPool("k", **options)


@pytest.mark.parametrize(
    "options",
    [
        {"base_url": "ftp://x"},
        {"ca_file": "/nowhere"},
        {"headers": {"A": "1", "B": "\n"}},
        {"proxy": "socks5://x"},
        {"timeout": -1},
    ],
)
def test_a_pool_that_cannot_be_made_leaves_nothing(options: dict[str, Any]) -> None:
    before = count_after(lambda: failing_construction(options), 1)
    assert count_after(lambda: failing_construction(options), 50) == before


@pytest.mark.parametrize("listener", ["http", "good"])
@pytest.mark.parametrize("is_closed", [True, False])
def test_a_pool_that_was_used_leaves_nothing(
    gateway: ScriptedGateway, certificates: Certificates, listener: str, is_closed: bool
) -> None:
    url = gateway.script("delay=1", listener).url

    async def main() -> None:
        pool = HolySheepPool("k", url, ca_file=certificates.ca_file)
        await asyncio.gather(*(pool.chat_completion("m", MESSAGES) for _ in range(5)))
        if is_closed:
            await pool.close()

    before = count_after(lambda: asyncio.run(main()), 1)
    assert count_after(lambda: asyncio.run(main()), 20) == before


FULL_TABLE = """
import asyncio, os, resource, sys
from holysheep import ConnectError, HolySheepPool
resource.setrlimit(resource.RLIMIT_NOFILE, (80, 80))

def fill():
    held = []
    while True:
        try:
            held.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            return held

async def outcomes(pool):
    calls = (pool.chat_completion("m", []) for _ in range(4))
    return await asyncio.gather(*calls, return_exceptions=True)

async def main():
    async with HolySheepPool("k", sys.argv[1]) as pool:
        if sys.argv[2] == "used":
            await pool.chat_completion("m", [])
        held = fill()
        failed = [each for each in await outcomes(pool) if isinstance(each, Exception)]
        assert len(failed) >= 3, failed
        assert all(isinstance(each, ConnectError) for each in failed), failed
        assert all("descriptor" in str(each) for each in failed), failed
        assert all(each.sent == "not sent" for each in failed), failed
        for descriptor in held:
            os.close(descriptor)
        assert all("id" in each for each in await outcomes(pool))
        stats = pool.stats()
        assert (stats["in_flight"], stats["waiting"]) == (0, 0), stats

asyncio.run(main())
"""


@pytest.mark.parametrize("state", ["new", "used"])
def test_a_full_table_of_descriptors_is_an_error_and_the_pool_works_on(
    gateway: ScriptedGateway, state: str
) -> None:
    script = gateway.script("delay=100")
    check_python(FULL_TABLE, script.url, state)


def test_many_replies_leave_no_memory_behind(gateway: ScriptedGateway) -> None:
    """Replies of 1 MB, a hundred times what may be left."""
    code = """
import asyncio, resource, sys
from holysheep import HolySheepPool

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

async def main():
    async with HolySheepPool("k", sys.argv[1], max_connections=4) as pool:
        async def some(count):
            for _ in range(count):
                await pool.request("GET", "/x")
        await asyncio.gather(*(some(5) for _ in range(4)))
        before = peak()
        await asyncio.gather(*(some(75) for _ in range(4)))
        print(peak() - before)

asyncio.run(main())
"""
    assert int(check_python(code, gateway.script("size=1000000").url)) < 100
