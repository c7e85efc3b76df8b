"""Sessions that were left, and films on their way to players, as the app's server keeps them."""

import asyncio
from types import SimpleNamespace

import pytest
from starlette.websockets import WebSocket, WebSocketDisconnect
from streamlit.runtime import media_file_manager
from streamlit.runtime.caching.ttl_cache import TTLCache
from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage
from streamlit.runtime.memory_session_storage import MemorySessionStorage
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec

from app import server


class Films:
    """The films of a server, as several sessions have them."""

    def __init__(self, monkeypatch) -> None:
        self.now, self.session = 0.0, "one"
        self.manager = MediaFileManager(MemoryMediaFileStorage("/media"))
        monkeypatch.setattr(media_file_manager, "_get_session_id", lambda: self.session)
        monkeypatch.setattr(server, "time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr(MediaFileManager, "clear_session_refs", server.clear_in_time)
        monkeypatch.setattr(MediaFileManager, "_get_inactive_file_ids", server.inactive_for_long)

    def show(self, session: str, film: bytes) -> str:
        """Draws a page whole; returns the film's name."""
        self.begin(session)
        name = self.manager.add(film, "video/mp4", "player").rsplit("/", 1)[-1].split(".")[0]
        self.manager.remove_orphaned_files()
        return name

    def begin(self, session: str) -> None:
        self.session = session
        self.manager.clear_session_refs()

    def end(self, session: str) -> None:
        self.manager.clear_session_refs(session)
        self.manager.remove_orphaned_files()

    def are_there(self, *names: str) -> list[bool]:
        return [self.manager.read_file(name) is not None for name in names]


@pytest.fixture
def films(monkeypatch):
    yield Films(monkeypatch)
    server._lingering.clear()


def test_a_film_outlives_the_drawing_anew_of_its_page_whoever_else_is_done(films):
    film = films.show("one", b"first")
    films.begin("one")
    films.show("two", b"of another")
    assert films.are_there(film) == [True]


def test_a_film_that_was_exchanged_is_there_for_a_while(films):
    before, after = films.show("one", b"first"), films.show("one", b"second")
    assert films.are_there(before, after) == [True, True]
    films.now = server.LINGER_SECONDS + 1
    films.show("two", b"of another")
    assert films.are_there(before, after) == [False, True]


def test_films_of_a_session_that_ends_are_gone_at_once(films):
    before, after = films.show("one", b"first"), films.show("one", b"second")
    shared = films.show("two", b"second")
    assert shared == after
    films.end("one")
    assert films.are_there(before, after) == [False, True]
    films.end("two")
    assert films.are_there(after) == [False]


def test_a_session_has_no_more_held_than_two_large_uploads(monkeypatch):
    monkeypatch.setattr(MemoryUploadedFileManager, "add_file", server.add_within_limit)
    monkeypatch.setattr(server, "config", SimpleNamespace(get_option={"server.maxUploadSize": 1}.get))
    manager = MemoryUploadedFileManager("/upload")

    def held(session):
        files = manager.get_files(session, [f"{k}" for k in range(9)])
        return [file.file_id for file in files]

    for k in range(5):
        # of 0.8 MiB
        manager.add_file("one", UploadedFileRec(f"{k}", "a.mp4", "video/mp4", bytes(800 * 1024)))
        manager.add_file("two", UploadedFileRec(f"{k}", "a.csv", "text/csv", b"small"))
    assert held("one") == ["3", "4"] and held("two") == ["0", "1", "2", "3", "4"]


class Sessions:
    """The sessions of a server whose page was closed, and a clock for them."""

    def __init__(self, monkeypatch) -> None:
        self.now, self.ended, self._later = 0.0, [], []
        self.storage = MemorySessionStorage()
        self.storage._cache = TTLCache(maxsize=128, ttl=60, timer=lambda: self.now)
        loop = SimpleNamespace(call_later=lambda delay, work: self._later.append((self.now + delay, work)))
        monkeypatch.setattr(server, "asyncio", SimpleNamespace(get_running_loop=lambda: loop))

    def leave(self, name: str) -> None:
        session = SimpleNamespace(id=name, shutdown=lambda: self.ended.append(name))
        server.save_for_its_time(self.storage, SimpleNamespace(session=session))

    def come_back(self, name: str) -> None:
        self.storage.delete(name)

    def pass_time(self, until: float) -> None:
        self.now = until
        due = [work for at, work in self._later if at <= until]
        self._later = [(at, work) for at, work in self._later if at > until]
        for work in due:
            work()


def test_a_session_that_does_not_come_back_is_ended_though_nobody_else_leaves(monkeypatch):
    sessions = Sessions(monkeypatch)
    sessions.leave("gone")
    sessions.leave("back")
    sessions.pass_time(59)
    sessions.come_back("back")
    assert sessions.ended == []
    sessions.pass_time(62)
    assert sessions.ended == ["gone"]
    # who leaves again has the whole time again
    sessions.leave("back")
    sessions.pass_time(121)
    assert sessions.ended == ["gone"]
    sessions.pass_time(124)
    assert sessions.ended == ["gone", "back"]


def test_a_session_whose_time_is_over_is_ended_by_the_next_that_leaves(monkeypatch):
    sessions = Sessions(monkeypatch)
    sessions.leave("first")
    # the clock has not looked yet
    sessions.pass_time(60.5)
    sessions.leave("second")
    assert sessions.ended == ["first"]


def test_a_browser_that_was_found_gone_by_a_send_has_gone_for_whoever_listens(monkeypatch):
    monkeypatch.setattr(WebSocket, "receive_bytes", server.receive_or_end)
    told = iter([{"type": "websocket.connect"}, {"type": "websocket.receive", "bytes": b"a click"}])

    async def receive():
        return next(told)

    async def send(message):
        if message["type"] == "websocket.send":
            raise OSError("gone")

    async def visit():
        connection = WebSocket({"type": "websocket"}, receive, send)
        await connection.accept()
        assert await connection.receive_bytes() == b"a click"
        with pytest.raises(WebSocketDisconnect):
            await connection.send_bytes(b"an answer")
        # Streamlit takes only this for an end; anything else it logs as a fault
        with pytest.raises(WebSocketDisconnect):
            await connection.receive_bytes()

    asyncio.run(visit())
