"""Servers for the tests: built, started and stopped here, on free ports."""

from __future__ import annotations

import itertools
import json
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest
import trustme

HERE = Path(__file__).parent
_numbers = itertools.count(1)


class Certificates:
    """Certificates for 127.0.0.1, good and bad, as PEM files."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.ca_file = str(folder / "ca.pem")
        self.authority.cert_pem.write_to_path(self.ca_file)
        self.files: dict[str, str] = {}
        self._write(folder, "good", self.authority.issue_cert("127.0.0.1", "localhost"))
        self._write(folder, "wrong_name", self.authority.issue_cert("elsewhere.test"))
        self._write(folder, "unknown_authority", trustme.CA().issue_cert("127.0.0.1"))
        past = trustme_expiry()
        self._write(folder, "expired", self.authority.issue_cert("127.0.0.1", not_after=past))

    def _write(self, folder: Path, name: str, issued: trustme.LeafCert) -> None:
        key, chain = folder / f"{name}.key", folder / f"{name}.pem"
        issued.private_key_pem.write_to_path(str(key))
        chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        self.files[name] = f"{name}={chain},{key}"


def trustme_expiry() -> Any:
    """A moment in the past."""
    import datetime

    return datetime.datetime(2001, 1, 1)


class ScriptedGateway:
    """The scripted gateway; see servers/gateway."""

    def __init__(self, binary: Path, certificates: Certificates) -> None:
        command = [str(binary)]
        for files in certificates.files.values():
            command += ["-tls", files]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self._addresses: dict[str, str] = json.loads(self._process.stdout.readline())

    def address(self, name: str = "http") -> str:
        """host:port of a listener: "http" or a certificate's name."""
        return self._addresses[name]

    def url(self, script: str, listener: str = "http") -> str:
        """The base URL whose requests are answered as `script` says."""
        scheme = "http" if listener == "http" else "https"
        return f"{scheme}://{self.address(listener)}/x/{script}/v1"

    def ask(self, question: str, number: str = "") -> Any:
        """counts, requests, connections; or the commands reset, release."""
        url = f"http://{self.address()}/_/{question}?id={number}"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=10) as reply:
            return json.load(reply)

    def stop(self) -> None:
        """Ends the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, certificates: Certificates
) -> Iterator[ScriptedGateway]:
    binary = tmp_path_factory.mktemp("gateway") / "gateway"
    subprocess.run(["go", "build", "-o", binary, "."], cwd=HERE / "servers/gateway", check=True)
    running = ScriptedGateway(binary, certificates)
    yield running
    running.stop()


@pytest.fixture
def script_id() -> Callable[[], str]:
    """A fresh id for a script, so that its requests are counted by themselves."""
    return lambda: f"t{next(_numbers)}"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
