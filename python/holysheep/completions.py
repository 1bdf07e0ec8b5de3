"""From completion queues to asyncio: one queue for each event loop that uses a pool."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from . import _core

if TYPE_CHECKING:
    ReplyFuture = asyncio.Future[_core.Reply]


class LoopBinding:
    """The calls of one event loop: their futures, by the tags that the core returns."""

    __slots__ = ("_last_tag", "futures", "loop", "queue")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.queue = _core.Queue()
        self.futures: dict[int, ReplyFuture] = {}
        self._last_tag = 0
        loop.add_reader(self.queue.fileno(), self.deliver)

    def expect(self) -> tuple[int, ReplyFuture]:
        """A tag for the next call, and the future that its reply will resolve."""
        self._last_tag = tag = self._last_tag + 1
        future = self.futures[tag] = self.loop.create_future()
        return tag, future

    def deliver(self) -> None:
        """Resolves what has come. A call that was cancelled here has no future left."""
        take = self.futures.pop
        for tag, reply in self.queue.drain():
            future = take(tag, None)
            if future is not None and not future.done():
                future.set_result(reply)

    def detach(self) -> None:
        """Takes in what is left and leaves the loop alone. In the loop's own thread."""
        self.deliver()
        self.loop.remove_reader(self.queue.fileno())

    def detach_soon(self) -> None:
        """The same, from any thread."""
        if self.loop.is_closed():
            return
        try:
            self.loop.call_soon_threadsafe(self.detach)
        except RuntimeError:  # it was closed in between
            return


class LoopBindings:
    """The bindings of one pool."""

    __slots__ = ("_by_loop",)

    def __init__(self) -> None:
        self._by_loop: dict[asyncio.AbstractEventLoop, LoopBinding] = {}

    def current(self) -> LoopBinding:
        """The running loop's binding, made when there is none yet."""
        loop = asyncio.get_running_loop()
        binding = self._by_loop.get(loop)
        return self._bind(loop) if binding is None else binding

    def _bind(self, loop: asyncio.AbstractEventLoop) -> LoopBinding:
        for known in list(self._by_loop):
            if known.is_closed():
                self._by_loop.pop(known, None)
        binding = self._by_loop[loop] = LoopBinding(loop)
        return binding

    def detach_all(self) -> None:
        """Ends the bindings; that of the running loop at once."""
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        for loop in list(self._by_loop):
            binding = self._by_loop.pop(loop, None)
            if binding is None:
                continue
            if loop is running:
                binding.detach()
            else:
                binding.detach_soon()
