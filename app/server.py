"""Streamlit's server as `deepmsi app` runs it: it ends in good order, forgets who left, and asks nobody.

Streamlit ends so when it is asked to (SIGTERM) or interrupted (Ctrl-C), and what it started ends with it.
Hung up, as when its terminal is closed, it would be gone at once, and a training run that it began would
go on unseen. It forgets a session that has left only when others come and leave; until then whoever knows
the address of its clip can fetch that. While a page is drawn anew it throws away the film that is still
shown, as soon as anybody's page is done, and the player finds nothing. And where a page of another origin
calls, it asks a server on the internet under which address this machine is seen from there. It holds as many
uploads of a session as that sends, each of the size that is allowed. And it logs a fault where a browser has
gone at the wrong moment. The arguments are those of `python -m streamlit`.
"""

import asyncio
import os
import signal
import threading
import time

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState
from streamlit import config, net_util
from streamlit.runtime import media_file_manager
from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.runtime.memory_session_storage import MemorySessionStorage
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.session_manager import SessionInfo
from streamlit.runtime.uploaded_file_manager import UploadedFileRec
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
    cache = storage._cache

    def end() -> None:
        for _, over in cache.expire():
            over.session.shutdown()

    # first, for saving drops those whose time is over and does not end them
    end()
    _save(storage, session)
    asyncio.get_running_loop().call_later(cache.ttl + TICK_SECONDS, end)


MAX_HELD = 2
"""Uploads of the largest size that a session may have held at once: the present one and the one before."""

_add_file = MemoryUploadedFileManager.add_file


def add_within_limit(manager: MemoryUploadedFileManager, session_id: str, file: UploadedFileRec) -> None:
    """Keeps an upload, and of the session's earlier ones the latest that fit beside it."""
    _add_file(manager, session_id, file)
    left = MAX_HELD * config.get_option("server.maxUploadSize") * 2**20
    for held in reversed(list(manager.file_storage.get(session_id, {}).values())):
        left -= len(held.data)
        if left < 0 and held.file_id != file.file_id:
            manager.remove_file(session_id, held.file_id)


_clear, _inactive = MediaFileManager.clear_session_refs, MediaFileManager._get_inactive_file_ids
_lingering: dict[tuple[str, str], float] = {}
"""By session and file, when a page that showed it was last begun to be drawn anew."""
_hold = threading.Lock()


def clear_in_time(manager: MediaFileManager, session_id: str | None = None) -> None:
    """A session's files are no longer shown; those of one that goes on stay for `LINGER_SECONDS`."""
    with _hold:
        if session_id is None:  # its page begins to be drawn anew
            own = media_file_manager._get_session_id()
            shown = manager._files_by_session_and_coord.get(own, {}).values()
            _lingering.update({(own, name): time.monotonic() for name in shown})
        else:
            for left in [key for key in _lingering if key[0] == session_id]:
                del _lingering[left]
    _clear(manager, session_id)


def inactive_for_long(manager: MediaFileManager) -> set[str]:
    """Files that nobody shows, nor has shown of late."""
    with _hold:
        since = time.monotonic() - LINGER_SECONDS
        for over in [key for key, begun in _lingering.items() if begun <= since]:
            del _lingering[over]
        return _inactive(manager) - {name for _, name in _lingering}


_receive = WebSocket.receive_bytes


async def receive_or_end(connection: WebSocket) -> bytes:
    """What the browser sends next; it has gone, too, where something that was to be sent to it told so."""
    if connection.application_state == WebSocketState.DISCONNECTED:
        raise WebSocketDisconnect(code=1006)
    return await _receive(connection)


if __name__ == "__main__":
    WebSocket.receive_bytes = receive_or_end
    net_util.get_external_ip = no_address
    MemorySessionStorage.save = save_for_its_time
    MemoryUploadedFileManager.add_file = add_within_limit
    MediaFileManager.clear_session_refs = clear_in_time
    MediaFileManager._get_inactive_file_ids = inactive_for_long
    # nohup wants it to outlive the terminal
    if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
        signal.signal(signal.SIGHUP, hang_up)
    main(prog_name="streamlit")
