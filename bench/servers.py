"""The servers, each started for one measurement, on a free port of loopback.

A fresh server, hence a fresh port, for each: connections in TIME_WAIT of the measurement
before cannot get into the way of the next.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import trustme

from . import payload
from .limits import WANTED

START_SECONDS = 10.0

NGINX = """
daemon off;
worker_processes 1;
worker_rlimit_nofile {descriptors};
error_log stderr crit;
pid {folder}/nginx.pid;
events {{
  worker_connections {descriptors};
  multi_accept on;
}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  server {{
    listen 127.0.0.1:{port} backlog=65535{ssl};
    default_type application/json;
    {locations}
  }}
}}
"""

AT_ONCE = """
    location / {{
      return 200 '{reply}';
    }}
"""

# A request without a user's name is held, then refused; the refusal becomes the answer.
HELD = """
    location / {{
      auth_basic "held";
      auth_basic_user_file /dev/null;
      auth_delay {delay}s;
      error_page 401 =200 @answer;
    }}
    location @answer {{
      return 200 '{reply}';
    }}
"""


@dataclass(frozen=True)
class Certificate:
    """PEM files: the authority's, and the certificate for 127.0.0.1 with its key."""

    ca_file: str
    chain_file: str
    key_file: str


def make_certificate(folder: Path) -> Certificate:
    """A fresh authority, and a certificate of it."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    files = Certificate(*(str(folder / name) for name in ("ca.pem", "chain.pem", "key.pem")))
    authority.cert_pem.write_to_path(files.ca_file)
    issued.private_key_pem.write_to_path(files.key_file)
    Path(files.chain_file).write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    return files


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await_port(name: str, port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} did not start") from None
            time.sleep(0.01)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(START_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def nginx(certificate: Optional[Certificate] = None, delay: int = 0) -> Iterator[str]:
    """nginx with one worker, which answers from memory; gives the base URL.

    delay: seconds that each request is held before it is answered.
    """
    with tempfile.TemporaryDirectory(prefix="holysheep-nginx-") as folder:
        port, ssl = _free_port(), ""
        if certificate:
            ssl = f" ssl;\nssl_certificate {certificate.chain_file};"
            ssl += f"\nssl_certificate_key {certificate.key_file}"
        configuration = Path(folder, "nginx.conf")
        locations = (HELD if delay else AT_ONCE).format(delay=delay, reply=payload.reply())
        configuration.write_text(
            NGINX.format(folder=folder, port=port, ssl=ssl, descriptors=WANTED, locations=locations)
        )
        command = ["nginx", "-p", folder, "-c", str(configuration), "-e", "stderr"]
        process = subprocess.Popen(command)
        try:
            _await_port("nginx", port, process)
            yield f"http{'s' if certificate else ''}://127.0.0.1:{port}/v1"
        finally:
            _stop(process)


@contextlib.contextmanager
def redis() -> Iterator[str]:
    """A Redis server that keeps all in memory; gives its URL."""
    with tempfile.TemporaryDirectory(prefix="holysheep-redis-") as folder:
        port = _free_port()
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", folder]
        command += ["--save", "", "--appendonly", "no", "--loglevel", "warning"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            _await_port("redis-server", port, process)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            _stop(process)


class Silent:
    """A server that takes connections and never answers; it notes the first byte's arrival."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=65535)
        self._listener.setblocking(False)
        self._peers: list[socket.socket] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self.first_byte: Optional[float] = None  # seconds of CLOCK_MONOTONIC
        self.base_url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"
        self._thread.start()

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            while self.first_byte is None and not self._stopped.is_set():
                for key, _ in selector.select(0.1):
                    if key.fileobj is not self._listener:
                        self.first_byte = time.monotonic()
                        return
                    peer, _ = self._listener.accept()
                    self._peers.append(peer)
                    selector.register(peer, selectors.EVENT_READ)

    def stop(self) -> None:
        """Closes all connections."""
        self._stopped.set()
        self._thread.join()
        for opened in (self._listener, *self._peers):
            opened.close()


@contextlib.contextmanager
def silent() -> Iterator[Silent]:
    """A Silent server."""
    running = Silent()
    try:
        yield running
    finally:
        running.stop()
