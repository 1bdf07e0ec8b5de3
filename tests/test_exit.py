"""Interpreters that end, however untidily: they neither hang, crash nor complain."""

from __future__ import annotations

import sys

import pytest

from support import ScriptedGateway, check_python, run_python

BEGIN = """
import asyncio, gc, os, sys, threading, warnings
from holysheep import HolySheepPool
url = sys.argv[1]
pool = HolySheepPool("k", url, verify=False)
async def begin(count=20):
    tasks = [asyncio.ensure_future(pool.chat_completion("m", [])) for _ in range(count)]
    await asyncio.sleep(0.3)
    return tasks
async def some(count=5):
    await asyncio.gather(*(pool.request("GET", "/models") for _ in range(count)))
"""

SLOW = {
    "calls in flight, pool never closed": "asyncio.run(begin())",
    "calls in flight at sys.exit": (
        "loop = asyncio.new_event_loop()\nloop.run_until_complete(begin())\nsys.exit()"
    ),
    "pool of a global, calls done": "asyncio.run(begin(0))",
    "pool closed with calls in flight": (
        "async def main():\n"
        "    tasks = await begin(); await pool.close()\n"
        "    await asyncio.gather(*tasks, return_exceptions=True)\n"
        "asyncio.run(main())"
    ),
    "calls in flight in another thread": (
        "def work():\n    loop = asyncio.new_event_loop(); loop.run_until_complete(begin())\n"
        "threading.Thread(target=work).start()"
    ),
    "a daemon thread that goes on": (
        "async def on():\n"
        "    tasks = await begin(); ready.set()\n"
        "    await asyncio.gather(*tasks, return_exceptions=True)\n"
        "ready = threading.Event()\n"
        "threading.Thread(target=lambda: asyncio.run(on()), daemon=True).start()\nready.wait()"
    ),
    "os._exit": "asyncio.run(begin()); os._exit(0)",
    "an exit hook that closes": (
        "import atexit\natexit.register(lambda: asyncio.run(pool.close()))\nasyncio.run(begin())"
    ),
    "a cycle that keeps the pool": (
        "pool.itself = pool\nasyncio.run(begin())\ndel pool\ngc.collect()"
    ),
    "a child of a fork that exits as usual": (
        "loop = asyncio.new_event_loop(); tasks = loop.run_until_complete(begin())\n"
        "warnings.simplefilter('ignore')  # that a process with threads forks\n"
        "child = os.fork()\n"
        "if child:\n    assert os.waitpid(child, 0)[1] == 0\n"
        "for task in tasks: task.cancel()\n"
        "if child: loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))"
    ),
}


@pytest.mark.parametrize("ending", SLOW)
@pytest.mark.parametrize("listener", ["http", "good"])
def test_an_end_with_calls_in_flight(gateway: ScriptedGateway, ending: str, listener: str) -> None:
    script = gateway.script("delay=60000", listener)
    done = run_python(BEGIN + SLOW[ending], script.url)
    complaints = [line for line in done.stderr.splitlines() if not is_asyncios(line)]
    assert (done.returncode, complaints) == (0, [])


def is_asyncios(line: str) -> bool:
    """What asyncio itself says of tasks that are thrown away while they wait."""
    return line.startswith(("Task was destroyed but it is pending", "task: <Task "))


QUICK = {
    "a loop closed before the pool": "asyncio.run(some()); asyncio.run(pool.close())",
    "a pool never closed": "asyncio.run(some())",
    "a pool closed in another loop": (
        "asyncio.run(some()); asyncio.run(some()); asyncio.run(pool.close())"
    ),
    "a pool deleted": "asyncio.run(some()); del pool; gc.collect()",
    "many pools": (
        "async def each():\n"
        "    for _ in range(20):\n"
        "        await HolySheepPool('k', url, verify=False).request('GET', '/models')\n"
        "asyncio.run(each())"
    ),
}


@pytest.mark.parametrize("ending", QUICK)
@pytest.mark.parametrize("listener", ["http", "good"])
def test_an_end_with_nothing_in_flight(
    gateway: ScriptedGateway, ending: str, listener: str
) -> None:
    script = gateway.script("", listener)
    check_python(BEGIN + QUICK[ending], script.url)
    assert script.counts()["active"] == 0


SUBINTERPRETER = """
import sys
import {module} as interpreters
import holysheep
number = interpreters.create()
try:
    failed = interpreters.run_string(number, '''
import sys
sys.path[:] = {path!r}
try:
    from holysheep import HolySheepPool
except ImportError as error:
    assert "interpreter" in str(error), error
else:
    raise SystemError("it was not refused")
''')
    assert failed is None, failed
finally:
    interpreters.destroy(number)
from holysheep import HolySheepPool
HolySheepPool("k", "http://127.0.0.1:1/v1")
"""


def test_a_subinterpreter_is_refused() -> None:
    module = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"
    check_python(SUBINTERPRETER.format(module=module, path=sys.path))
