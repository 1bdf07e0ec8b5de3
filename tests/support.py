"""What the tests share: servers that are started and stopped, and ways to watch them."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import itertools
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, Optional

import trustme

from holysheep import HolySheepPool

HERE = Path(__file__).parent
MESSAGES = [{"role": "user", "content": "Hello 你好"}]
_numbers = itertools.count(1)


# ------------------------------------------------------------------------ servers


def server_environment() -> dict[str, str]:
    """Ours without what is only meant for the interpreter under test."""
    own = {"LD_PRELOAD", "PYTHONMALLOC", "ASAN_OPTIONS"}
    return {name: value for name, value in os.environ.items() if name not in own}


class Certificates:
    """Certificates for 127.0.0.1, good and bad, as PEM files."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.ca_file = str(folder / "ca.pem")
        self.authority.cert_pem.write_to_path(self.ca_file)
        self.files: dict[str, tuple[str, str]] = {}
        past = datetime.datetime(2001, 1, 1)
        self._write(folder, "good", self.authority.issue_cert("127.0.0.1", "localhost"))
        self._write(folder, "wrong_name", self.authority.issue_cert("elsewhere.test"))
        self._write(folder, "unknown_authority", trustme.CA().issue_cert("127.0.0.1"))
        self._write(folder, "expired", self.authority.issue_cert("127.0.0.1", not_after=past))

    def _write(self, folder: Path, name: str, issued: trustme.LeafCert) -> None:
        key, chain = folder / f"{name}.key", folder / f"{name}.pem"
        issued.private_key_pem.write_to_path(str(key))
        chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        self.files[name] = (str(chain), str(key))


class ScriptedGateway:
    """The scripted gateway of servers/gateway; `address` pins its plain listener."""

    def __init__(
        self, binary: Path, certificates: Certificates, address: Optional[str] = None
    ) -> None:
        self._command = [str(binary)]
        for name, (chain, key) in certificates.files.items():
            self._command += ["-tls", f"{name}={chain},{key}"]
        if address:
            self._command += ["-http", address]
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=server_environment(),
        )
        assert self._process.stdout is not None
        self.addresses: dict[str, str] = json.loads(self._process.stdout.readline())

    def address(self, listener: str = "http") -> str:
        """host:port of a listener: "http", "http6" or a certificate's name."""
        return self.addresses[listener]

    def script(self, words: str = "", listener: str = "http") -> Script:
        """A script with requests of its own, that answers as `words` say."""
        return Script(self, words, listener)

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


class Script:
    """One way to answer, at a base URL of its own."""

    def __init__(self, gateway: ScriptedGateway, words: str, listener: str) -> None:
        self._gateway = gateway
        self._number = f"t{next(_numbers)}"
        scheme = "http" if listener.startswith("http") else "https"
        path = f"/x/id={self._number},{words}".rstrip(",")
        self.url = f"{scheme}://{gateway.address(listener)}{path}/v1"

    def counts(self) -> dict[str, int]:
        """requests, completed, aborted, active, max_active."""
        counts: dict[str, int] = self._gateway.ask("counts", self._number)
        return counts

    def requests(self) -> list[dict[str, Any]]:
        """The requests as they arrived."""
        requests: list[dict[str, Any]] = self._gateway.ask("requests", self._number)
        return requests

    def bodies(self) -> list[Any]:
        """The JSON bodies as they arrived."""
        return [json.loads(request["body"]) for request in self.requests()]

    def release(self) -> None:
        """Lets go of the requests that `hold` keeps."""
        self._gateway.ask("release", self._number)


_NGINX_CONFIGURATION = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 4096; }}
http {{
  log_format seen '$arg_n $status $ssl_session_reused';
  access_log {folder}/access.log seen;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests {keepalive_requests};
  ssl_certificate {chain};
  ssl_certificate_key {key};
  ssl_session_cache shared:tls:1m;
  server {{
    listen 127.0.0.1:{port};
    listen 127.0.0.1:{tls_port} ssl;
    location / {{ default_type application/json; return 200 '{{"seen":"$arg_n"}}'; }}
  }}
}}
"""


class Nginx:
    """A real nginx that closes a connection after so many requests."""

    def __init__(self, folder: Path, certificates: Certificates, keepalive_requests: int) -> None:
        self._folder = folder
        self.port, self.tls_port = free_port(), free_port()
        chain, key = certificates.files["good"]
        text = _NGINX_CONFIGURATION.format(
            folder=folder,
            keepalive_requests=keepalive_requests,
            chain=chain,
            key=key,
            port=self.port,
            tls_port=self.tls_port,
        )
        (folder / "nginx.conf").write_text(text)
        command = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]
        self._process = subprocess.Popen(command, env=server_environment())
        wait_until(lambda: accepts("127.0.0.1", self.port))

    def seen(self) -> list[list[str]]:
        """For each answered request: its query's n, the status, how TLS was set up ("r":
        by a session resumed)."""
        lines = (self._folder / "access.log").read_text().splitlines()
        return [line.split(" ") for line in lines]

    def reload(self) -> None:
        """New workers; the old ones end once their requests are answered."""
        self._process.send_signal(1)

    def stop(self) -> None:
        """Ends the process."""
        self._process.terminate()
        self._process.wait(10)


# ------------------------------------------------------------------------ watching


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def unanswering_port() -> Iterator[int]:
    """A port whose backlog is full, so that connecting to it hangs."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


async def release_round(script: Script, slots: int, completed: int) -> None:
    """Lets the held calls go once every slot is taken; then so many have been answered."""
    await until(lambda: script.counts()["active"] == slots)
    script.release()
    await until(lambda: script.counts()["completed"] == completed)


def accepts(host: str, port: int) -> bool:
    """Whether somebody listens there."""
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Waits for what must come true; fails when it doesn't."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it did not come true"
        time.sleep(0.02)


async def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """The same, while the event loop goes on."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it did not come true"
        await asyncio.sleep(0.02)


def sent(error: object) -> str:
    """How far the request of a failed call came, or "" for what isn't an error of a call."""
    return str(getattr(error, "sent", ""))


def is_idle(pool: HolySheepPool) -> bool:
    """Whether nothing is in flight and nothing waits."""
    stats = pool.stats()
    return (stats["in_flight"], stats["waiting"]) == (0, 0)


def descriptors() -> int:
    """How many this process has open."""
    return len(os.listdir("/proc/self/fd"))


def ask(url: str, **options: Any) -> Any:
    """One call of a fresh pool; its reply, or its error."""

    async def main() -> Any:
        async with HolySheepPool("k-secret", url, **options) as pool:
            try:
                return await pool.chat_completion("m", MESSAGES)
            except Exception as error:
                assert is_idle(pool)
                return error

    return asyncio.run(main())


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a program in an interpreter of its own; one that hangs fails."""
    command = [sys.executable, "-X", "faulthandler", "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def check_python(code: str, *arguments: str) -> str:
    """The same; it must end well, and say nothing on standard error."""
    done = run_python(code, *arguments)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout
