"""The command line, run as users run it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

import holysheep
from holysheep import HolySheepPool
from support import MESSAGES, free_port

HOLYSHEEP = (sys.executable, "-m", "holysheep")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*HOLYSHEEP, *arguments], capture_output=True, text=True, timeout=60)


@contextlib.contextmanager
def gateway(*arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A gateway process and its base URL."""
    process = subprocess.Popen(
        [*HOLYSHEEP, "gateway", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("holysheep gateway listening on http://127.0.0.1:"), line
        yield line.split()[-1], process
    finally:
        process.kill()
        process.communicate()


def call(url: str, key: str = "k") -> Any:
    async def main() -> Any:
        async with HolySheepPool(key, url) as pool:
            return await pool.chat_completion("gpt-4.1", MESSAGES)

    return asyncio.run(main())


def test_help_names_the_commands() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert "gateway" in done.stdout
    assert "demo" in done.stdout


def test_help_of_the_gateway_names_every_option() -> None:
    done = run("gateway", "--help")
    assert done.returncode == 0
    options = ("--host", "--port", "--base", "--per-token", "--jitter", "--seed", "--api-key")
    for option in (*options, "--requests-per-minute"):
        assert option in done.stdout


def test_the_version_is_the_packages() -> None:
    assert run("--version").stdout.split() == ["holysheep", holysheep.__version__]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ([], 2, "command"),
        (["nonsense"], 2, "nonsense"),
        (["gateway", "--nonsense"], 2, "--nonsense"),
        (["gateway", "--port", "x"], 2, "--port"),
        (["gateway", "--port", "65536"], 2, "--port"),
        (["gateway", "--port", "-1"], 2, "--port"),
        (["gateway", "--base", "-1"], 1, "base"),
        (["gateway", "--base", "nan"], 1, "base"),
        (["gateway", "--per-token", "-1"], 1, "per_token"),
        (["gateway", "--jitter", "2"], 1, "jitter"),
        (["gateway", "--requests-per-minute", "0"], 1, "per_minute"),
        (["gateway", "--host", "nowhere.invalid"], 1, "nowhere.invalid"),
    ],
)
def test_bad_arguments_are_named(arguments: list[str], status: int, words: str) -> None:
    done = run(*arguments)
    assert done.returncode == status, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_port_that_is_taken_is_named() -> None:
    with gateway() as (url, _):
        port = url.rsplit(":", 1)[1].split("/")[0]
        done = run("gateway", "--port", port)
    assert done.returncode == 1
    assert port in done.stderr
    assert "Traceback" not in done.stderr


def test_the_gateway_serves_until_it_is_told_to_stop() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        with gateway("--port", "0", "--base", "0") as (url, process):
            assert call(url)["choices"]
            process.send_signal(number)
            _, complaints = process.communicate(timeout=20)
            assert (process.returncode, complaints) == (0, "")


def test_the_gateways_options_are_heeded() -> None:
    port = str(free_port())
    options = ("--port", port, "--api-key", "right", "--requests-per-minute", "1", "--base", "0")
    with gateway(*options) as (url, _):
        assert url == f"http://127.0.0.1:{port}/v1"
        with pytest.raises(holysheep.HTTPStatusError, match="401"):
            call(url, "wrong")
        assert call(url, "right")["choices"]
        with pytest.raises(holysheep.HTTPStatusError, match="429"):
            call(url, "right")


def test_any_client_is_served() -> None:
    with gateway("--base", "0") as (url, _):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{url}/models", timeout=10) as reply:
            assert reply.status == 200
