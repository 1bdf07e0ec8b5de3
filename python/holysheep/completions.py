"""From completion queues to asyncio: one queue for each event loop that uses a pool."""

from __future__ import annotations

import asyncio
import os
import weakref
from typing import TYPE_CHECKING

from . import _core

if TYPE_CHECKING:
    ReplyFuture = asyncio.Future[_core.Reply]


class LoopBinding:
    """The calls of one event loop: their futures, by the tags that the core returns."""

    __slots__ = ("__weakref__", "_last_tag", "futures", "loop", "queue")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.queue = _core.Queue()
        self.futures: dict[int, ReplyFuture] = {}
        self._last_tag = 0
        loop.add_reader(self.queue.fileno(), self.deliver)
        _attached.add(self)

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
        _attached.discard(self)
        self.loop.remove_reader(self.queue.fileno())

    def attach_again(self) -> None:
        """In the child of a fork, where the queue has a descriptor of its own under the old
        number: the loop watches that of the parent until it is told again."""
        if self.loop.is_closed():
            return
        self.loop.remove_reader(self.queue.fileno())
        self.loop.add_reader(self.queue.fileno(), self.deliver)

    def abandon(self) -> None:
        """The loop was closed: its calls end now. Tasks that still wait for them would
        otherwise keep their places until they are collected."""
        _attached.discard(self)
        del self.queue

    def detach_soon(self) -> None:
        """The same, from any thread."""
        if self.loop.is_closed():
            return
        try:
            self.loop.call_soon_threadsafe(self.detach)
        except RuntimeError:  # it was closed in between
            return


_attached: weakref.WeakSet[LoopBinding] = weakref.WeakSet()


def _attach_all_again() -> None:
    for binding in list(_attached):
        binding.attach_again()


os.register_at_fork(after_in_child=_attach_all_again)


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
                ended = self._by_loop.pop(known, None)
                if ended is not None:
                    ended.abandon()
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
