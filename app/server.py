"""Streamlit's server as `deepmsi app` runs it: it ends in good order, forgets who left, and asks nobody.

Streamlit ends so when it is asked to (SIGTERM) or interrupted (Ctrl-C), and what it started ends with it.
Hung up, as when its terminal is closed, it would be gone at once, and a training run that it began would
go on unseen. It forgets a session that has left only when others come and leave; until then whoever knows
the address of its clip can fetch that. And where a page of another origin calls, it asks a server on the
internet under which address this machine is seen from there. The arguments are those of
`python -m streamlit`.
"""

import asyncio
import os
import signal

from streamlit import net_util
from streamlit.runtime.memory_session_storage import MemorySessionStorage
from streamlit.runtime.session_manager import SessionInfo
from streamlit.web.cli import main

TICK_SECONDS = 1.0
"""After which a time that is over is over for every clock."""


def hang_up(*_: object) -> None:
    """Ends the server as SIGTERM does; its last words go nowhere, for writing to a closed terminal fails."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    signal.raise_signal(signal.SIGTERM)


def no_address() -> None:
    """In place of Streamlit's question to the internet; the origins that may call are settings."""


_save = MemorySessionStorage.save


def save_for_its_time(storage: MemorySessionStorage, session: SessionInfo) -> None:
    """Keeps a session that may come back, as ever, and ends it when its time is over."""
    _save(storage, session)
    cache = storage._cache

    def end() -> None:
        for _, over in cache.expire():
            over.session.shutdown()

    asyncio.get_running_loop().call_later(cache.ttl + TICK_SECONDS, end)


if __name__ == "__main__":
    net_util.get_external_ip = no_address
    MemorySessionStorage.save = save_for_its_time
    # nohup wants it to outlive the terminal
    if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
        signal.signal(signal.SIGHUP, hang_up)
    main(prog_name="streamlit")
