"""The examples run as they stand, and the demo, on an embedded gateway."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from support import HERE

EXAMPLES = HERE.parent / "examples"


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    command = [sys.executable, "-m", "holysheep", "gateway", "--port", "0"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    yield running.stdout.readline().rsplit(" ", 1)[1].strip()
    running.terminate()
    running.wait(20)
    running.stdout.close()


def output_of(*command: str) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=170)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_the_articles_pool(base_url: str) -> None:
    lines = output_of(sys.executable, str(EXAMPLES / "article_pool.py"), base_url)
    assert lines[:10] == [f"You said: Question {number}" for number in range(10)]
    assert lines[10].startswith("10 calls in ")


def test_the_articles_cached_pool(base_url: str) -> None:
    lines = output_of(sys.executable, str(EXAMPLES / "article_cached.py"), base_url)
    assert lines[4] == "2 hits, 2 misses, 50%"
    assert lines[5].startswith("the cache's own figures: 2 hits, $0.0")


def test_the_demo() -> None:
    lines = output_of(sys.executable, "-m", "holysheep", "demo")
    assert "  with a cache: 2 hits, 2 misses" in lines
    for client in ("HolySheepPool", "CachedHolySheepPool", "a fresh httpx client"):
        assert any(client in line for line in lines), client
