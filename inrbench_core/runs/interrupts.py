"""Interrupts that stop the driver even where a callback or a finaliser has swallowed them. Imports no torch."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def noted_interrupts() -> Iterator[Callable[[], None]]:
    """Note each SIGINT and SIGTERM that a handler written in Python turns into an exception.

    Python drops an exception that a handler raises within a finaliser, a callback of a C library, or code that
    catches everything; without a note the user's Ctrl-C would have no effect.

    Yields:
        what raises KeyboardInterrupt if a signal has come. Handlers are those of before afterwards. Outside the main
        thread, where Python runs no handlers, no signal is noted.
    """
    came: list[int] = []

    def check() -> None:
        if came:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield check
        return
    before: dict[int, tuple[Any, Any]] = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        handler = signal.getsignal(number)
        if not callable(handler):
            continue

        def note(number: int, frame: Any, handler: Callable[[int, Any], Any] = handler) -> None:
            try:
                handler(number, frame)
            except BaseException:
                came.append(number)
                raise

        before[number] = (handler, note)
        signal.signal(number, note)
    try:
        yield check
    finally:
        for noted, (handler, note) in before.items():
            # Another one was set within: it stays.
            if signal.getsignal(noted) is note:
                signal.signal(noted, handler)
