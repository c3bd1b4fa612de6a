"""Work in threads, in order."""

from __future__ import annotations

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
