"""Sessions without a browser: they speak the app's own protocol, so that what is slow is the server.

Twenty Chromiums on the machine of the server take nine tenths of it, and then tell how slow they are
themselves. A light visitor opens the same connection as a browser, follows links, uploads files, asks again
where the page says that it will, and reads the answer from what the page would draw.
"""

from __future__ import annotations

import asyncio
import html
import random
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import requests
import websockets
from streamlit.proto.Alert_pb2 import Alert
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Common_pb2 import FileUploaderState, FileURLs, UploadedFileInfo
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from visitors import MAX_SECONDS, NAME, NUM_ACTIONS, PAGES, THINKING_SECONDS, Alone, Found

from app.clips import OWN_CLIP

ANSWER = re.compile(r'class="emotion">.*?<strong>(.*?)</strong>', re.DOTALL)
DRAWN = {"failures": "deepmsi.matrix", "embeddings": "plotly_chart", "compare": "side-by-side"}
"""By page, what has to be drawn there: a kind of element, a component, or a class of its HTML."""

EXPLAINED = re.compile(r"Probability of (\w+)")
BARS = re.compile(
    r'class="bar(?: [^"]*)?".*?class="name">(.*?)</span>.*?class="value">(.*?)</span>', re.DOTALL
)
"""What the Clip page is drawn of."""

TAGS = re.compile(r"<[^>]*>")

WEIGHTS = (2, 2, 3, 5)
"""How often pages are turned, files given, emotions asked about and clips chosen."""


class LightVisitor:
    """One person, from coming to leaving.

    Args:
        address: of the app.
        number: tells visitors apart, and what they do.
        alone: the right answers, by key of a sample clip or path of a file.
        found: gets what they meet.
    """

    def __init__(self, address: str, number: int, alone: dict[str | Path, Alone], found: Found) -> None:
        self._address = urlsplit(address)
        self._number = number
        self._random = random.Random(number)
        self._alone = alone
        self._found = found
        self._again: dict[str, float] = {}
        self._shown = ("", {})
        self._explained: set[str] = set()
        self._drawn: set[str] = set()
        self._kept: dict[str, ForwardMsg] = {}
        self._field = ""
        self._place: FileURLs | None = None

    async def visit(self, until: float) -> None:
        """Comes, acts, and leaves; `until` is when all go, on the monotonic clock."""
        try:
            async with self._connected() as socket:
                await self._clip(socket, "open the app")
                for _ in range(self._random.randint(*NUM_ACTIONS)):
                    await self._think(socket)
                    if time.monotonic() > until:
                        break
                    actions = (self._turn, self._upload, self._another, self._clip)
                    await self._random.choices(actions, WEIGHTS)[0](socket)
        except (OSError, requests.RequestException, websockets.WebSocketException, TimeoutError) as error:
            self._tell(f"{type(error).__name__}: {error}")

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[websockets.ClientConnection]:
        host = self._address.netloc
        async with websockets.connect(
            f"ws://{host}/_stcore/stream",
            origin=f"http://{host}",
            subprotocols=["streamlit"],
            max_size=None,
            open_timeout=MAX_SECONDS,
            # the server is told to close, but is not waited for
            close_timeout=1,
        ) as socket:
            yield socket

    async def _clip(
        self, socket: websockets.ClientConnection, what: str = "a sample clip", **more: str
    ) -> None:
        """Follows a link to a sample clip and compares the answer."""
        key = self._random.choice([key for key in self._alone if isinstance(key, str)])
        self._shown = ("", {})
        self._explained.clear()
        with self._found.timed(f"{what} (no browser)"):
            await self._follow(socket, "", clip=key, **more)
        self._compare(key)

    async def _another(self, socket: websockets.ClientConnection) -> None:
        """Asks about another emotion of a sample clip."""
        label = self._random.choice(list(next(iter(self._alone.values())).percentages))
        await self._clip(socket, "another emotion to explain", **{"class": label})
        if label not in self._explained:
            self._tell(f"asked about {label}, the page explains {self._explained or 'nothing'}")

    async def _upload(self, socket: websockets.ClientConnection) -> None:
        """Gives a file, as a browser does, and compares the answer."""
        path = self._random.choice([path for path in self._alone if isinstance(path, Path)])
        self._field = ""
        await self._follow(socket, "", clip=OWN_CLIP)
        if not self._field:
            self._tell("no field for a file was drawn")
            return
        self._shown = ("", {})
        with self._found.timed("a file of one's own (no browser)"):
            told = await self._give(socket, f"{NAME}{path.suffix}", path.read_bytes())
            await self._ask(socket, {self._field: told}, query_string=urlencode({"clip": OWN_CLIP}))
            await self._until_drawn(socket)
        self._compare(path)

    async def _give(
        self, socket: websockets.ClientConnection, name: str, content: bytes
    ) -> FileUploaderState:
        """Uploads a file; what the field then holds."""
        self._place = None
        message = BackMsg()
        message.file_urls_request.file_names.append(name)
        await socket.send(message.SerializeToString())
        async with asyncio.timeout(MAX_SECONDS):
            while self._place is None:
                self._read(await socket.recv())
        await asyncio.to_thread(self._put, self._place.upload_url, name, content)
        state = FileUploaderState()
        file = UploadedFileInfo(name=name, size=len(content), file_id=self._place.file_id)
        file.file_urls.CopyFrom(self._place)
        state.uploaded_file_info.append(file)
        return state

    def _put(self, path: str, name: str, content: bytes) -> None:
        host = f"http://{self._address.netloc}"
        with requests.Session() as session:
            session.get(f"{host}/_stcore/health", timeout=MAX_SECONDS).raise_for_status()
            token = {"X-Xsrftoken": session.cookies["_streamlit_xsrf"]}
            files = {"file": (name, content, "video/mp4")}
            got = session.put(f"{host}{path}", files=files, headers=token, timeout=MAX_SECONDS)
            got.raise_for_status()

    def _compare(self, on: str | Path) -> None:
        self._found.num_answers += 1
        answer, told = self._shown
        if not self._alone[on].is_shown({"answer": answer, "told": told.items()}):
            self._tell(f"{on} was answered with {self._shown}, alone it is {self._alone[on]}")

    async def _turn(self, socket: websockets.ClientConnection) -> None:
        path = self._random.choice(list(PAGES))
        with self._found.timed(f"the page {path.capitalize()} (no browser)"):
            await self._follow(socket, path)
        if DRAWN[path] not in self._drawn:
            self._tell(f"the page {path} drew no {DRAWN[path]}, but {', '.join(sorted(self._drawn))}")

    async def _follow(self, socket: websockets.ClientConnection, page: str, **parameters: str) -> None:
        """Has a page drawn, and waits until it is."""
        self._again.clear()
        self._drawn.clear()
        # as with a browser's back and forward buttons: an address of before is else taken for a late one
        address = urlencode(parameters)
        await self._ask(socket, page_name=page, query_string=address, is_history_navigation=True)
        await self._until_drawn(socket)

    async def _until_drawn(self, socket: websockets.ClientConnection) -> None:
        async with asyncio.timeout(MAX_SECONDS):
            while not self._read(await socket.recv()):
                pass

    async def _think(self, socket: websockets.ClientConnection) -> None:
        """Looks at the page for a while, which asks again for what is still to come."""
        end = time.monotonic() + self._random.uniform(*THINKING_SECONDS)
        due = {name: time.monotonic() + seconds for name, seconds in self._again.items()}
        while (now := time.monotonic()) < end:
            for name in [name for name, moment in due.items() if moment <= now]:
                await self._ask(socket, fragment_id=name, is_auto_rerun=True)
                due[name] = now + self._again.get(name, MAX_SECONDS)
            try:
                self._read(await asyncio.wait_for(socket.recv(), min([end, *due.values()]) - now + 0.01))
            except TimeoutError:
                continue

    async def _ask(
        self,
        socket: websockets.ClientConnection,
        fields: dict[str, FileUploaderState] | None = None,
        **wanted: str | bool,
    ) -> None:
        message = BackMsg()
        message.rerun_script.context_info.timezone = "UTC"
        for name, state in (fields or {}).items():
            field = message.rerun_script.widget_states.widgets.add(id=name)
            field.file_uploader_state_value.CopyFrom(state)
        for name, value in wanted.items():
            setattr(message.rerun_script, name, value)
        await socket.send(message.SerializeToString())

    def _read(self, raw: bytes) -> bool:
        """Takes in what the server says; whether a page, or a part of it, is drawn."""
        message = ForwardMsg.FromString(raw)
        if message.WhichOneof("type") == "ref_hash":
            # what is large is sent once
            message = self._kept[message.ref_hash]
        elif message.metadata.cacheable:
            self._kept[message.hash] = message
        kind = message.WhichOneof("type")
        if kind == "auto_rerun":
            self._again[message.auto_rerun.fragment_id] = message.auto_rerun.interval
        elif kind == "delta":
            element = message.delta.new_element
            drawn = element.WhichOneof("type")
            self._drawn.add(drawn or "")
            if drawn == "exception":
                self._tell(f"the page says {element.exception.message}")
            elif drawn == "alert" and element.alert.format == Alert.ERROR:
                self._tell(f"the page says {element.alert.body}")
            elif drawn == "html":
                self._take(element.html.body)
            elif drawn == "bidi_component":
                self._drawn.add(element.bidi_component.component_name)
            elif drawn == "file_uploader":
                self._field = element.file_uploader.id
        elif kind == "file_urls_response":
            self._place = message.file_urls_response.file_urls[0]
        elif kind == "script_finished" and message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
            return True
        return False

    def _take(self, body: str) -> None:
        answer, told = self._shown
        self._explained.update(EXPLAINED.findall(_text(body)))
        if f"class='{DRAWN['compare']}'" in body:
            self._drawn.add(DRAWN["compare"])
        if found := ANSWER.search(body):
            answer = html.unescape(found.group(1))
        if bars := BARS.findall(body):
            told = {_text(name): _text(value) for name, value in bars}
        self._shown = answer, told

    def _tell(self, what: str) -> None:
        self._found.faults.append(f"light visitor {self._number}: {what}")


def _text(markup: str) -> str:
    return html.unescape(TAGS.sub("", markup)).strip()
