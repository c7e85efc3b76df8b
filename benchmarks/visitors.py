"""People who work with the app in browsers of their own, and compare what it says with what is right."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from browsed_app import RESTS, holds
from playwright.async_api import BrowserContext, Page, WebSocket
from playwright.async_api import Error as BrowserError
from playwright.async_api import TimeoutError as TooLate

from core.prediction import Prediction

MAX_SECONDS = 120.0
"""In which whatever a visitor asks for has to be there. An explanation that is not is given up."""

LOOK_SECONDS = 0.5
"""How often a visitor looks whether it is; all browsers share the machine with the server."""

THINKING_SECONDS = (0.5, 4.0)
NUM_OPENED = 6
"""How often a menu is opened that closes by itself."""

NUM_ACTIONS = (3, 12)
"""Of one visitor."""

LATE_SECONDS = 5.0
"""For which a page may still show the answer of before: between two runs of its script it seems to rest."""

LEFT_AT_ONCE = 0.5
"""Share of the visitors that leave while their last click is still being worked on."""

NAME = "clip"
"""What everybody's file is called."""

ROUNDING = 0.501
"""Of percentages that are told whole; sums by another number of threads differ in the last bit."""

READ = """
  return {
    answer: document.querySelector('.emotion strong')?.textContent ?? '',
    told: [...document.querySelectorAll('.bars .bar')].map(one => [
      one.querySelector('.name').textContent, one.querySelector('.value').textContent
    ]),
    address: location.search,
  };
"""
"""What the Clip page says."""

ANSWERED = f"{RESTS} && document.querySelector('section.answer') && document.querySelector('.bars .bar')"
"""The Clip page shows an answer, whole."""

PAGES = {
    "failures": ".matrix .cell",
    "embeddings": ".stPlotlyChart .js-plotly-plot .point",
    "compare": ".side-by-side thead th",
}
"""Other pages by their address, with something that they have once they can be used."""


@dataclass(frozen=True, kw_only=True)
class Alone:
    """What a predictor answers that is asked alone.

    Attributes:
        answer: the emotion.
        percentages: by label.
    """

    answer: str
    percentages: dict[str, float]

    @classmethod
    def of(cls, prediction: Prediction) -> Alone:
        """From an answer."""
        percentages = (100 * prediction.probabilities).tolist()
        return cls(
            answer=prediction.prediction,
            percentages=dict(zip(prediction.labels, percentages, strict=True)),
        )

    def is_shown(self, shown: dict) -> bool:
        """Whether a page says the same."""
        told = dict(shown["told"])
        return (
            shown["answer"] == self.answer
            and told.keys() == self.percentages.keys()
            and all(_is_told(told[name], value) for name, value in self.percentages.items())
        )


def _is_told(text: str, percentage: float) -> bool:
    """Whether a text such as "72 %", "<1 %" or ">99 %" tells a percentage."""
    if text.startswith("<"):
        return percentage < ROUNDING
    if text.startswith(">"):
        return percentage > 100 - ROUNDING
    return abs(float(text.rstrip("%\N{NARROW NO-BREAK SPACE}")) - percentage) < ROUNDING


@dataclass(kw_only=True)
class Found:
    """What all visitors met.

    Attributes:
        seconds: by kind of action.
        num_given_up: explanations that somebody did not wait for any longer.
        num_answers: that were compared.
        num_late: of them, that were of the clip before at first, though the page seemed to rest.
        faults: sentences.
        num_visitors: that came.
        work_seconds / files_seconds: until the server was at rest and no file was left, after all had left.
    """

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    num_given_up: int = 0
    num_answers: int = 0
    num_late: int = 0
    faults: list[str] = field(default_factory=list)
    num_visitors: int = 0
    work_seconds: float = 0.0
    files_seconds: float = 0.0

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Takes the time of a block that ends well."""
        begin = time.monotonic()
        yield
        self.seconds[what].append(time.monotonic() - begin)


class Visitor:
    """One person in a browser of their own, from coming to leaving.

    Args:
        context: the browser.
        address: of the app.
        number: tells visitors apart, and what they do.
        alone: the right answers, by key of a sample clip or path of a file.
        found: gets what they meet.
    """

    def __init__(
        self,
        context: BrowserContext,
        address: str,
        number: int,
        alone: dict[str | Path, Alone],
        found: Found,
    ) -> None:
        self._context = context
        self._address = address
        self._number = number
        self._random = random.Random(number)
        self._alone = alone
        self._found = found
        self._is_leaving = False
        self._on: str | Path | None = None
        self._before: str | Path | None = None
        self._own: Path | None = None
        self._page: Page | None = None

    async def visit(self, until: float) -> None:
        """Comes, acts, and leaves; `until` is when all go, on the monotonic clock."""
        page = self._page = await self._context.new_page()
        page.set_default_timeout(1000 * MAX_SECONDS)
        self._listen(page)
        try:
            with self._found.timed("open the app"):
                await page.goto(self._address)
                await self._until(ANSWERED)
            self._on = await page.locator(".gallery button[aria-selected=true]").get_attribute("data-key")
            await self._compare()
            for _ in range(self._random.randint(*NUM_ACTIONS)):
                await asyncio.sleep(self._random.uniform(*THINKING_SECONDS))
                if time.monotonic() > until:
                    break
                await self._random.choices(*zip(*self._choices(), strict=True))[0]()
            if self._random.random() < LEFT_AT_ONCE:
                await self._page.locator("header a").nth(self._random.randrange(4)).click()
        except TooLate as error:
            self._tell(
                f"waited {MAX_SECONDS:g} s in vain: {str(error).splitlines()[0]}; {await self._view()}"
            )
        except BrowserError as error:
            self._tell(str(error))
        finally:
            self._is_leaving = True
            await self._context.close()

    def _choices(self) -> list[tuple[Callable[[], Awaitable[None]], float]]:
        """What can be done, and how often it is."""
        return [
            (self._choose_sample, 5),
            (self._upload, 2),
            (self._ask_about_another, 3),
            (self._await_words, 1),
            (self._turn, 2),
        ]

    async def _choose_sample(self) -> None:
        await self._to_clips()
        keys = [key for key in self._alone if isinstance(key, str) and key != self._on]
        key = self._random.choice(keys)
        if self._on is None or isinstance(self._on, Path):
            await self._page.get_by_role("radio", name="Sample clips").click()
            await self._until(f"{RESTS} && all('.gallery button').length > 0")
        with self._found.timed("a sample clip"):
            await self._page.locator(f".gallery button[data-key='{key}']").click()
            chosen = f"all('.gallery button[aria-selected=true]')[0]?.dataset.key === {key!r}"
            await self._until(f"{ANSWERED} && {chosen} && location.search.includes('clip={key}')")
        self._before, self._on = self._on, key
        await self._compare()

    async def _upload(self) -> None:
        await self._to_clips()
        # the file of before is shown as soon as one turns to one's own, and is not seen to come again
        files = [path for path in self._alone if isinstance(path, Path)]
        path = self._random.choice([path for path in files if path != self._own] or files)
        if not isinstance(self._on, Path):
            await self._page.get_by_role("radio", name="Your own file").click()
            await self._until(f"{RESTS} && document.querySelector('input[type=file]')")
        elif path == self._on:
            return
        if path == self._own:
            # the only one, which is shown again and not seen to come
            self._before, self._on = self._on, path
            await self._until(ANSWERED)
            await self._compare()
            return
        before = await self._page.evaluate("document.querySelector('video, audio')?.src ?? null")
        file = {"name": f"{NAME}{path.suffix}", "mimeType": "video/mp4", "buffer": path.read_bytes()}
        with self._found.timed("a file of one's own"):
            await self._page.locator("input[type=file]").set_input_files(file)
            another = f"document.querySelector('video, audio')?.src !== {json.dumps(before)}"
            await self._until(f"{ANSWERED} && document.querySelector('.own-name') && {another}")
        self._before, self._on, self._own = self._on, path, path
        await self._compare()

    async def _ask_about_another(self) -> None:
        await self._to_clips()
        label = self._random.choice(list(self._alone[self._on].percentages))
        with self._found.timed("another emotion to explain"):
            # not a clip of that label, which the shelf offers as an option too
            option = self._page.get_by_role("option", name=re.compile(rf"^{label}( \(the answer\))?$")).first
            for _ in range(NUM_OPENED):
                await self._page.get_by_role("combobox", name="Emotion to explain").click()
                # a menu closes when the page is drawn anew
                with suppress(TooLate):
                    await option.click(timeout=1000 * MAX_SECONDS / NUM_OPENED)
                    break
            await self._until(f"{ANSWERED} && document.body.textContent.includes('Probability of {label}')")
        await self._compare()

    async def _await_words(self) -> None:
        await self._to_clips()
        try:
            with self._found.timed("the explanation of the words, waited for"):
                await self._until(f"{RESTS} && !document.body.innerText.includes('from each word: being')")
        except TooLate:
            self._found.num_given_up += 1

    async def _turn(self) -> None:
        path = self._random.choice(list(PAGES))
        with self._found.timed(f"the page {path.capitalize()}"):
            await self._page.locator(f"header a[href$='/{path}']").first.click()
            await self._until(f"{RESTS} && all({PAGES[path]!r}).length > 0")
        await asyncio.sleep(self._random.uniform(*THINKING_SECONDS))

    async def _to_clips(self) -> None:
        """Back to the Clip page, which shows what it showed before."""
        if not any(f"/{path}" in self._page.url for path in PAGES):
            return
        with self._found.timed("back to the page Clip"):
            await self._page.locator("header a").first.click()
            await self._until(ANSWERED)
        await self._compare()

    async def _compare(self) -> None:
        self._found.num_answers += 1
        right, before = self._alone[self._on], self._alone.get(self._before)
        shown = first = await self._page.evaluate(f"() => {{ {READ} }}")
        end = time.monotonic() + (LATE_SECONDS if before is not None and before.is_shown(first) else 0)
        while not right.is_shown(shown) and time.monotonic() < end:
            await asyncio.sleep(LOOK_SECONDS)
            shown = await self._page.evaluate(f"() => {{ {READ} }}")
        if not right.is_shown(shown):
            self._tell(f"{self._on} was answered with {shown}, at first {first}, alone it is {right}")
        elif shown is not first:
            self._found.num_late += 1
            print(f"Late: {self._on} was answered at first with {first}.", flush=True)

    async def _until(self, condition: str) -> None:
        await self._page.wait_for_function(
            holds(f"({condition}) ? true : false"), polling=1000 * LOOK_SECONDS
        )
        if wrong := await self._page.evaluate(
            "[...document.querySelectorAll('[data-testid=stException], [data-testid=stAlertContentError]')]"
            ".map(one => one.innerText)"
        ):
            self._tell(f"the page says {wrong}")

    async def _view(self) -> str:
        with suppress(Exception):
            text = await self._page.evaluate("document.querySelector('.stMain')?.innerText.slice(0, 2000)")
            return f"{self._page.url} says {text!r}"
        return "the page is gone"

    def _listen(self, page: Page) -> None:
        """Has whatever the browser complains of told."""

        def lost(socket: WebSocket) -> None:
            self._tell(f"the connection {socket.url} was lost")

        page.on("pageerror", lambda error: self._tell(f"JavaScript: {error}"))
        page.on("console", lambda said: self._tell(f"console: {said.text}") if said.type == "error" else None)
        page.on("crash", lambda _: self._tell("the tab crashed"))
        page.on("websocket", lambda socket: socket.on("close", lost))
        page.on(
            "response",
            lambda got: self._tell(f"{got.status} for {got.url}") if got.status >= 400 else None,
        )

    def _tell(self, what: str) -> None:
        # what is under way when somebody leaves breaks off, as it should
        if not self._is_leaving:
            self._found.faults.append(f"visitor {self._number}: {what}")
