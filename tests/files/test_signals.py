"""A first signal is handed to the program, a second one acts as usual."""

import os
import signal
import threading

import pytest

from imitax.files.signals import first_signal

NUMBERS = (signal.SIGINT, signal.SIGTERM)


@pytest.mark.parametrize("number", NUMBERS)
def test_the_first_signal_is_named_and_a_second_one_acts_as_before(number):
    names, second = [], []
    earlier = signal.signal(number, lambda number, frame: second.append(number))
    try:
        with first_signal(names.append):
            os.kill(os.getpid(), number)
            assert (names, second) == ([number.name], [])
            os.kill(os.getpid(), number)
            assert (names, second) == ([number.name], [number])
    finally:
        signal.signal(number, earlier)


def test_the_handlers_are_back_after_the_block():
    before = [signal.getsignal(number) for number in NUMBERS]
    with pytest.raises(RuntimeError), first_signal(lambda name: None):
        assert all(
            signal.getsignal(n) is not handler for n, handler in zip(NUMBERS, before, strict=True)
        )
        raise RuntimeError
    assert [signal.getsignal(number) for number in NUMBERS] == before


def test_in_another_thread_nothing_changes():
    before, inside = [signal.getsignal(number) for number in NUMBERS], []

    def work():
        with first_signal(lambda name: None):
            inside.extend(signal.getsignal(number) for number in NUMBERS)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert inside == before
