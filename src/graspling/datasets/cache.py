"""A cache with a limit in bytes: decoding a frame costs milliseconds, keeping it costs memory."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Generic, TypeVar

Value = TypeVar("Value")


class FrameCache(Generic[Value]):
    """The most recently used values, together at most ``limit`` bytes. Safe between threads."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._entries: OrderedDict[str, tuple[Value, int]] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> Value | None:
        """The value, or None when it is not kept."""
        with self._lock:
            if key not in self._entries:
                return None
            self._entries.move_to_end(key)
            return self._entries[key][0]

    def put(self, key: str, value: Value, size: int) -> None:
        """Keep a value of ``size`` bytes; the least recently used ones make room for it."""
        if size > self.limit:
            return
        with self._lock:
            if key in self._entries:
                self.used -= self._entries.pop(key)[1]
            while self.used + size > self.limit:
                self.used -= self._entries.popitem(last=False)[1][1]
            self._entries[key] = (value, size)
            self.used += size
