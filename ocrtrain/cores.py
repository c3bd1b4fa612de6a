"""How many cores there are to work with, and work shared out among them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
from typing import TypeVar

_THREADS = 8  # at most: more would wait for memory, or for the one that gathers what they did

T = TypeVar("T")
R = TypeVar("R")


def usable_cores() -> int:
    """Count the cores that this process may use, which in a container or a batch job are not all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Do `work` on all `items` in threads, and give the results in order; few items are held at a time.

    It pays where `work` leaves the interpreter's lock to others, as compiled code and NumPy do.
    """
    threads = min(usable_cores(), _THREADS)
    if threads == 1:
        yield from map(work, items)
        return
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def in_parts(work: Callable[[int], object], parts: int) -> None:
    """Call `work` with each number from 0 to `parts` - 1, side by side, and come back when all have ended.

    The first is done in the calling thread. It pays where `work` leaves the interpreter's lock to others, as
    compiled code does, and takes longer than the 20 microseconds that it costs to wake a thread.
    """
    others: list[Future[object]] = []
    try:
        for part in range(1, parts):
            others.append(_pool().submit(work, part))
        work(0)
    finally:
        wait(others)  # they may be at work on the same arrays
    for other in others:
        other.result()


@cache
def _pool() -> ThreadPoolExecutor:
    # Threads are started when there is none to spare, so a process that needs few has few.
    return ThreadPoolExecutor(max(64, os.cpu_count() or 1), thread_name_prefix="part")


if hasattr(os, "register_at_fork"):  # a forked process has none of its parent's threads
    os.register_at_fork(after_in_child=_pool.cache_clear)
