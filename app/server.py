"""Streamlit's server as `deepmsi app` runs it: it ends in good order, forgets who left, and asks nobody.

Streamlit ends so when it is asked to (SIGTERM) or interrupted (Ctrl-C), and what it started ends with it.
Hung up, as when its terminal is closed, it would be gone at once, and a training run that it began would
go on unseen. It forgets a session that has left only when others come and leave; until then whoever knows
the address of its clip can fetch that. While a page is drawn anew it throws away the film that is still
shown, as soon as anybody's page is done, and the player finds nothing. And where a page of another origin
calls, it asks a server on the internet under which address this machine is seen from there. The arguments
are those of `python -m streamlit`.
"""

import asyncio
import os
import signal
import time
from collections import defaultdict

from streamlit import net_util
from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.runtime.memory_session_storage import MemorySessionStorage
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.session_manager import SessionInfo
from streamlit.web.cli import main

TICK_SECONDS = 1.0
"""After which a time that is over is over for every clock."""

LINGER_SECONDS = 60.0
"""A file that a page showed can be fetched for so long after the page began to be drawn anew: a browser that
has much to do still shows the page of before."""


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


_clear, _inactive = MediaFileManager.clear_session_refs, MediaFileManager._get_inactive_file_ids
_lingering: dict[str, dict[str, float]] = defaultdict(dict)
"""By session the files that its pages have shown, and when they were last begun to be drawn anew."""


def clear_in_time(manager: MediaFileManager, session_id: str | None = None) -> None:
    """A session's files are no longer shown; those of one that goes on stay for `LINGER_SECONDS`."""
    if session_id is not None:
        _lingering.pop(session_id, None)
    elif (context := get_script_run_ctx()) is not None:
        shown = manager._files_by_session_and_coord.get(context.session_id, {})
        _lingering[context.session_id] |= dict.fromkeys(shown.values(), time.monotonic())
    _clear(manager, session_id)


def inactive_for_long(manager: MediaFileManager) -> set[str]:
    """Files that nobody shows, nor has shown of late."""
    since = time.monotonic() - LINGER_SECONDS
    for session_id, files in list(_lingering.items()):
        _lingering[session_id] = {name: begun for name, begun in files.items() if begun > since}
    return _inactive(manager).difference(*_lingering.values())


if __name__ == "__main__":
    net_util.get_external_ip = no_address
    MemorySessionStorage.save = save_for_its_time
    MediaFileManager.clear_session_refs = clear_in_time
    MediaFileManager._get_inactive_file_ids = inactive_for_long
    # nohup wants it to outlive the terminal
    if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
        signal.signal(signal.SIGHUP, hang_up)
    main(prog_name="streamlit")
