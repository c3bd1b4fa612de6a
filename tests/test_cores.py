"""Work in threads, in order."""

from __future__ import annotations

import os
import threading
import time

import pytest

from ocrtrain import cores


@pytest.mark.parametrize("threads", [1, 4])
def test_results_come_in_the_order_of_what_they_are_of(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "usable_cores", lambda: threads)
    held, most, lock = 0, 0, threading.Lock()

    def work(number: int) -> int:
        nonlocal held, most
        with lock:
            held += 1
            most = max(most, held)
        time.sleep(0.001 * (number % 3))
        with lock:
            held -= 1
        return number**2

    assert [*cores.in_order(work, range(50))] == [number**2 for number in range(50)]
    assert most <= threads


def test_a_fault_of_the_work_is_that_of_who_asked() -> None:
    with pytest.raises(ZeroDivisionError):
        list(cores.in_order(lambda number: 1 // number, [2, 1, 0, 1]))


@pytest.mark.parametrize("parts", [1, 2, 5])
def test_all_parts_are_at_work_at_the_same_time(parts: int) -> None:
    met, seen = threading.Barrier(parts, timeout=30), []

    def work(part: int) -> None:
        met.wait()  # passes only when all have come
        seen.append(part)

    for _ in range(3):
        cores.in_parts(work, parts)
    assert sorted(seen) == sorted([*range(parts)] * 3)


@pytest.mark.parametrize("faulty", [0, 2])
def test_a_fault_waits_for_the_other_parts(faulty: int) -> None:
    ended = []

    def work(part: int) -> None:
        if part == faulty:
            raise KeyError(part)
        time.sleep(0.1)
        ended.append(part)

    with pytest.raises(KeyError, match=str(faulty)):
        cores.in_parts(work, 3)
    assert sorted(ended) == sorted({0, 1, 2} - {faulty})


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_has_threads_of_its_own() -> None:
    cores.in_parts(lambda part: None, 3)
    child = os.fork()
    if child == 0:
        done: list[int] = []
        try:
            cores.in_parts(done.append, 3)
        finally:
            os._exit(0 if sorted(done) == [0, 1, 2] else 1)
    since = time.monotonic()
    while (ended := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() - since < 30:
        time.sleep(0.02)
    if ended[0] == 0:
        os.kill(child, 9)
    assert ended == (child, 0)
