"""A cache of the latest few values, made once however many sessions ask for them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable


class Shelf:
    """The latest few values by key. Whoever asks for a value that another thread is making waits for it."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[tuple, object] = OrderedDict()
        self._being_made: dict[tuple, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: tuple, make: Callable[[], object]):
        """The value of `key`, made now if it is not there."""
        with self._lock:
            making = self._being_made.setdefault(key, threading.Lock())
        with making:
            try:
                with self._lock:
                    if key in self._values:
                        self._values.move_to_end(key)
                        return self._values[key]
                value = make()
                with self._lock:
                    self._values[key] = value
                    while len(self._values) > self._size:
                        self._values.popitem(last=False)
                return value
            finally:
                with self._lock:
                    self._being_made.pop(key, None)

    def values(self) -> tuple:
        """All values that are there."""
        with self._lock:
            return tuple(self._values.values())

    def clear(self) -> None:
        """Forgets every value."""
        with self._lock:
            self._values.clear()

    def __contains__(self, key: tuple) -> bool:
        with self._lock:
            return key in self._values
