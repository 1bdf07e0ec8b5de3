"""A process that times hits of one cache: `python -m bench.suites.cache.worker JSON`.

The argument is a Task; the answer is one line of JSON on standard output.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import sys
import time
from dataclasses import dataclass

from ... import payload
from .contenders import BY_HAND, CONTENDERS, Ask, Messages

LONG = 32 * 1024  # characters of a long prompt
TURN_SECONDS = 0.002  # so short that most turns are not interrupted
# Paragraphs as people write them: what must be escaped, besides letters, is rare.
ENGLISH = (
    "They learn where to go by watching the one in front, who learnt it the same way. " * 3
    + 'It is said of them: "Where one goes, all go", and so it has been seen on every hill.\n'
)
VIETNAMESE = (
    "Vì sao đàn cừu luôn đi theo nhau, và con nào đi trước? Hãy trả lời trong hai hoặc ba câu. " * 3
    + 'Người ta nói: "Một con đi, cả đàn đi theo", và ở đồi nào cũng thấy như thế.\n'
)
PROMPTS = {
    "short": payload.QUESTION,
    "ascii": (ENGLISH * (LONG // len(ENGLISH) + 1))[:LONG],
    "vietnamese": (VIETNAMESE * (LONG // len(VIETNAMESE) + 1))[:LONG],
}


@dataclass(frozen=True)
class Task:
    """What to measure: a key of CONTENDERS for so many seconds, with a key of PROMPTS.

    url: of the server that it needs. beside: another that takes turns with it, "" for none.
    """

    contender: str
    url: str
    prompt: str
    seconds: float
    beside: str = ""


async def check_hits(ask: Ask, messages: Messages) -> None:
    """Each hit must give the whole reply, in a dict that is nobody else's."""
    expected = {**json.loads(payload.reply()), "cached": True}
    first = await ask(payload.MODEL, messages)
    second = await ask(payload.MODEL, messages)
    if first != expected or second != expected:
        raise RuntimeError("not the reply that was stored")
    if first is second or first["choices"][0] is second["choices"][0]:
        raise RuntimeError("two hits share a dict")


async def time_hits(ask: Ask, messages: Messages, count: int) -> float:
    """Seconds that each of so many hits took."""
    model, clock = payload.MODEL, time.perf_counter
    started = clock()
    for _ in range(count):
        await ask(model, messages)
    return (clock() - started) / count


async def time_turns(asks: list[Ask], messages: Messages, seconds: float) -> list[list[float]]:
    """Seconds a hit in each turn, for each of `asks`, which take turns for so long."""
    counts = []
    for ask in asks:
        await check_hits(ask, messages)
        await time_hits(ask, messages, 100)
        counts.append(max(1, int(TURN_SECONDS / await time_hits(ask, messages, 100))))
    turns: list[list[float]] = [[] for _ in asks]
    deadline = time.perf_counter() + seconds
    while not turns[0] or time.perf_counter() < deadline:
        for ask, count, taken in zip(asks, counts, turns):
            taken.append(await time_hits(ask, messages, count))
    return turns


async def perform(task: Task) -> dict[str, float]:
    """Opens the caches and times their hits; the medians of all turns."""
    messages = [{"role": "user", "content": PROMPTS[task.prompt]}]
    async with contextlib.AsyncExitStack() as stack:
        opened = [
            await stack.enter_async_context(CONTENDERS[name].open(task.url, messages))
            for name in (task.contender, task.beside)
            if name
        ]
        turns = await time_turns(opened, messages, task.seconds)
    figures = {"hit": statistics.median(turns[0]), "least": min(turns[0])}
    if task.beside == BY_HAND:
        figures["by_hand"] = statistics.median(turns[1])
        # Of turns that follow each other, so that what disturbs one disturbs both.
        figures["ratio"] = statistics.median(other / own for own, other in zip(*turns))
    return figures


if __name__ == "__main__":
    print(json.dumps(asyncio.run(perform(Task(**json.loads(sys.argv[1]))))), flush=True)
    # Threads that a cache left running may not hold the process up.
    os._exit(0)
