"""The latest pictures of the page, made one or two at a time."""

import threading
from collections import OrderedDict
from collections.abc import Callable

KEPT_BYTES = 48 << 20
AT_ONCE = 2

_TURN = threading.BoundedSemaphore(AT_ONCE)


class PictureCache:
    """The latest pictures, up to so many bytes."""

    def __init__(self, most: int = KEPT_BYTES) -> None:
        self._most = most
        self._bytes = 0
        self._pictures: OrderedDict[str, bytes] = OrderedDict()
        self._turn = threading.Lock()

    def get(self, key: str, make: Callable[[], bytes]) -> bytes:
        """Return a picture, made where it is not kept."""
        with self._turn:
            found = self._pictures.get(key)
            if found is not None:
                self._pictures.move_to_end(key)
                return found
        with _TURN:
            made = make()
        with self._turn:
            if key not in self._pictures and len(made) <= self._most:
                self._pictures[key] = made
                self._bytes += len(made)
            while self._bytes > self._most:
                _, oldest = self._pictures.popitem(last=False)
                self._bytes -= len(oldest)
        return made
