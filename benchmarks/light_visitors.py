"""Sessions without a browser: they speak the app's own protocol, so that what is slow is the server.

Twenty Chromiums on the machine of the server take nine tenths of it, and then tell how slow they are
themselves. A light visitor opens the same connection as a browser, follows links, asks again where the page
says that it will, and reads the answer from what the page would draw.
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

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from visitors import MAX_SECONDS, NUM_ACTIONS, PAGES, THINKING_SECONDS, Alone, Found

ANSWER = re.compile(r'class="emotion">.*?<strong>(.*?)</strong>', re.DOTALL)
BARS = re.compile(
    r'class="bar(?: [^"]*)?".*?class="name">(.*?)</span>.*?class="value">(.*?)</span>', re.DOTALL
)
"""What the Clip page is drawn of."""

TAGS = re.compile(r"<[^>]*>")


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
        self._alone = {key: right for key, right in alone.items() if isinstance(key, str)}
        self._found = found
        self._again: dict[str, float] = {}
        self._shown = ("", {})
        self._is_drawn = False

    async def visit(self, until: float) -> None:
        """Comes, acts, and leaves; `until` is when all go, on the monotonic clock."""
        try:
            async with self._connected() as socket:
                await self._clip(socket, "open the app (no browser)")
                for _ in range(self._random.randint(*NUM_ACTIONS)):
                    await self._think(socket)
                    if time.monotonic() > until:
                        break
                    if self._random.random() < 0.2:
                        await self._turn(socket)
                    else:
                        await self._clip(socket, "a sample clip (no browser)")
        except (OSError, websockets.WebSocketException, TimeoutError) as error:
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

    async def _clip(self, socket: websockets.ClientConnection, what: str) -> None:
        """Follows a link to a sample clip and compares the answer."""
        key = self._random.choice(sorted(self._alone))
        self._shown = ("", {})
        with self._found.timed(what):
            await self._follow(socket, "", clip=key)
        self._found.num_answers += 1
        answer, told = self._shown
        if not self._alone[key].is_shown({"answer": answer, "told": told.items()}):
            self._tell(f"{key} was answered with {self._shown}, alone it is {self._alone[key]}")

    async def _turn(self, socket: websockets.ClientConnection) -> None:
        path = self._random.choice(list(PAGES))
        with self._found.timed(f"the page {path.capitalize()} (no browser)"):
            await self._follow(socket, path)
        if not self._is_drawn:
            self._tell(f"the page {path} drew nothing")

    async def _follow(self, socket: websockets.ClientConnection, page: str, **parameters: str) -> None:
        """Has a page drawn, and waits until it is."""
        self._again.clear()
        self._is_drawn = False
        # as with a browser's back and forward buttons: an address of before is else taken for a late one
        address = urlencode(parameters)
        await self._ask(socket, page_name=page, query_string=address, is_history_navigation=True)
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

    async def _ask(self, socket: websockets.ClientConnection, **wanted: str | bool) -> None:
        message = BackMsg()
        message.rerun_script.context_info.timezone = "UTC"
        for name, value in wanted.items():
            setattr(message.rerun_script, name, value)
        await socket.send(message.SerializeToString())

    def _read(self, raw: bytes) -> bool:
        """Takes in what the server says; whether a page, or a part of it, is drawn."""
        message = ForwardMsg.FromString(raw)
        kind = message.WhichOneof("type")
        if kind == "auto_rerun":
            self._again[message.auto_rerun.fragment_id] = message.auto_rerun.interval
        elif kind == "delta":
            element = message.delta.new_element
            drawn = element.WhichOneof("type")
            self._is_drawn |= drawn in ("plotly_chart", "vega_lite_chart", "bidi_component", "html")
            if drawn == "exception":
                self._tell(f"the page says {element.exception.message}")
            elif drawn == "html":
                self._take(element.html.body)
        elif kind == "script_finished" and message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
            return True
        return False

    def _take(self, body: str) -> None:
        answer, told = self._shown
        if found := ANSWER.search(body):
            answer = html.unescape(found.group(1))
        if bars := BARS.findall(body):
            told = {_text(name): _text(value) for name, value in bars}
        self._shown = answer, told

    def _tell(self, what: str) -> None:
        self._found.faults.append(f"light visitor {self._number}: {what}")


def _text(markup: str) -> str:
    return html.unescape(TAGS.sub("", markup)).strip()
