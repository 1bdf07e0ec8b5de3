"""Servers for the tests: built, started and stopped here, on free ports."""

from __future__ import annotations

import faulthandler
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import HERE, Certificates, Nginx, ScriptedGateway, server_environment

_STDERR = pytest.StashKey[int]()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def gateway_binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    binary = tmp_path_factory.mktemp("gateway") / "gateway"
    command = ["go", "build", "-o", str(binary), "."]
    subprocess.run(command, cwd=HERE / "servers/gateway", check=True, env=server_environment())
    return binary


@pytest.fixture(scope="session")
def gateway(gateway_binary: Path, certificates: Certificates) -> Iterator[ScriptedGateway]:
    running = ScriptedGateway(gateway_binary, certificates)
    yield running
    running.stop()


@pytest.fixture
def own_gateway(gateway_binary: Path, certificates: Certificates) -> Iterator[ScriptedGateway]:
    """One that no other test has connections to, and that may be stopped."""
    running = ScriptedGateway(gateway_binary, certificates)
    yield running
    running.stop()


@pytest.fixture
def nginx(tmp_path: Path, certificates: Certificates) -> Iterator[Nginx]:
    running = Nginx(tmp_path, certificates, keepalive_requests=7)
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine's proxies and authorities reaches a test."""
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
    for name in (*names, "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def pytest_configure(config: pytest.Config) -> None:
    """Keeps the real standard error, for the traces of a test that hangs."""
    capture = config.pluginmanager.getplugin("capturemanager")
    assert capture is not None
    with capture.global_and_fixture_disabled():
        config.stash[_STDERR] = os.dup(2)


@pytest.fixture(autouse=True)
def a_hang_ends_the_suite(pytestconfig: pytest.Config) -> Iterator[None]:
    faulthandler.dump_traceback_later(180, exit=True, file=pytestconfig.stash[_STDERR])
    yield
    faulthandler.cancel_dump_traceback_later()
