"""Memory that was freed goes back to the system."""

from __future__ import annotations

import ctypes
from functools import cache


def release_free_memory() -> None:
    """Gives what was freed back to the system, where the C library can (glibc; elsewhere nothing is done).

    An explanation asks the network with batches of many sizes, and what the C library keeps in the gaps
    between them is several times what is held. This takes some 0.1 s, so it is for when nothing else waits.
    """
    if (trim := _trim()) is not None:
        trim(0)


@cache
def _trim():
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library, or a system that is not asked like this
        return None
