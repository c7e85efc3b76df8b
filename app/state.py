"""What a person is looking at: one frozen value in the session, mirrored in the page's link.

Widgets report changes here and are drawn from here, so that a link, the back button and a click all take the
same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.clips import OWN_CLIP
from app.linked import Linked
from core.attribution.elements import METHODS
from core.attribution.explain import DEFAULTS
from core.media.languages import LANGUAGES
from core.media.speech_models import Speech

OVERLAYS = ("kept", "lines", "points")
"""What can be laid over a frame: the fate of its patches, lines to their keepers, and their attribution."""

OF_ONE_CLIP = ("frame", "emotion", "instead_of", "words", "baseline")
"""Of the view, what another clip forgets."""

SHIPPED_MODEL = "shipped"
"""How a link names the speech model that comes with the app."""

MAX_MODEL_CHARACTERS = 300
"""Longest name or path of a speech model that is read from a link."""

MAX_WORDS_CHARACTERS = 600
"""Longest transcript that a link holds, and, where the clip's own is not longer, that the app takes."""


@dataclass(frozen=True, kw_only=True)
class ViewState:
    """Everything a link restores.

    Attributes:
        clip: key of the chosen clip, None for the first one; `OWN_CLIP` where a file of one's own is wanted,
            whether or not there is one.
        frame: index of the chosen candidate frame, None for the most relevant kept one.
        step: compression steps shown in the frame view, None for all of them.
        emotion: the class that is explained, None for the predicted one.
        instead_of: the class that it is held against: why the one and not the other; None for neither.
        methods: (element, method) of what is not explained by the element's default method.
        words: the transcript as edited, None where it is as given or recognised.
        baseline: what stands for an absent modality, None for the default.
        judged: element whose explanation is put to the test, None for the first.
        overlays: what is laid over the frame, of `OVERLAYS`; None for what is so at first.
        edits: what is tried under "what if", as `app.views.whatif.said` writes it; None for nothing.
        checkpoint: name of the chosen checkpoint, None for the first one.
        speech: how the sound is listened to where words are to be recognised; None for as it was before.
        is_truth_hidden: labels, and how clips were made, are not to be told, so that people can guess first.
    """

    clip: str | None = None
    frame: int | None = None
    step: int | None = None
    emotion: str | None = None
    instead_of: str | None = None
    methods: tuple[tuple[str, str], ...] = ()
    words: str | None = None
    baseline: str | None = None
    judged: str | None = None
    overlays: tuple[str, ...] | None = None
    edits: str | None = None
    checkpoint: str | None = None
    speech: Speech | None = None
    is_truth_hidden: bool = False

    @classmethod
    def from_link(cls, parameters: dict[str, str]) -> ViewState:
        """Reads a link's parameters; what cannot be meant is left out."""

        def number(name: str, *, first: int) -> int | None:
            text = parameters.get(name, "")
            value = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else -1
            return value - first if value >= first else None

        words = parameters.get("words")
        return cls(
            clip=parameters.get("clip") or None,
            frame=number("frame", first=1),  # as people count, and as the page says
            step=number("step", first=0),
            emotion=parameters.get("class") or None,
            instead_of=parameters.get("instead-of") or None,
            methods=_methods(parameters.get("methods", "")),
            words=None if words is None else cut_words(words, MAX_WORDS_CHARACTERS),
            baseline=parameters.get("absent") or None,
            judged=parameters.get("judged") or None,
            overlays=read_overlays(parameters),
            edits=parameters.get("what-if") or None,
            checkpoint=parameters.get("checkpoint") or None,
            speech=_speech(parameters),
            is_truth_hidden=parameters.get("made") == "hidden",
        )

    def to_link(self) -> dict[str, str]:
        """The parameters that restore this view; no link reaches into an uploaded clip.

        Words longer than `MAX_WORDS_CHARACTERS` are left out: cut ones would give another answer.
        """
        made = "hidden" if self.is_truth_hidden else None
        methods = ",".join(":".join(pair) for pair in self.methods) or None
        values = {"clip": self.clip, "checkpoint": self.checkpoint, "made": made, "methods": methods}
        if self.speech is not None:
            values |= {"speech": self.speech.model or SHIPPED_MODEL, "language": self.speech.language or None}
        if self.clip != OWN_CLIP:
            fits = self.words is not None and len(self.words) <= MAX_WORDS_CHARACTERS
            values |= {
                "frame": None if self.frame is None else self.frame + 1,
                "step": self.step,
                "class": self.emotion,
                "instead-of": self.instead_of,
                "words": self.words if fits else None,
                "absent": self.baseline,
                "judged": self.judged,
                "over": said_overlays(self.overlays),
                "what-if": self.edits,
            }
        return {name: str(value) for name, value in values.items() if value is not None}

    def changed(self, **changes) -> ViewState:
        """The changed view; another clip forgets what was chosen of the one before."""
        if self.clip is not None and changes.get("clip", self.clip) != self.clip:
            changes = {**dict.fromkeys(OF_ONE_CLIP), **changes}
        return replace(self, **changes)


def read_overlays(parameters: dict[str, str]) -> tuple[str, ...] | None:
    """The overlays of a link's parameters; None where it tells none."""
    shown = parameters.get("over")
    return None if shown is None else tuple(name for name in OVERLAYS if name in shown.split(","))


def said_overlays(overlays: tuple[str, ...] | None) -> str | None:
    """The overlays as a link's parameter "over"; None for what is so at first."""
    return None if overlays is None else ",".join(overlays) or "nothing"


def _speech(parameters: dict[str, str]) -> Speech | None:
    model, language = parameters.get("speech", "").strip(), parameters.get("language", "")
    if not model or len(model) > MAX_MODEL_CHARACTERS or not model.isprintable():
        return None
    known = language if language in LANGUAGES else ""
    return Speech(model="" if model == SHIPPED_MODEL else model, language=known)


def _methods(text: str) -> tuple[tuple[str, str], ...]:
    pairs = dict(part.split(":", 1) for part in text.split(",") if ":" in part)
    known = {element: name for element, name in pairs.items() if name in METHODS}
    return tuple(
        (element, name)
        for element, name in sorted(known.items())
        if element in METHODS[name].elements and DEFAULTS[element] != name
    )


def cut_words(text: str, max_characters: int) -> str:
    """The words of `text` that fit whole, with single blanks; a single word that does not fit is cut."""
    tidy = " ".join(text.split())
    if len(tidy) <= max_characters:
        return tidy
    return tidy[: max_characters + 1].rpartition(" ")[0] or tidy[:max_characters]


_linked = Linked("clip", ViewState, shared=("checkpoint",))
current, adopt_link, publish_link = _linked.current, _linked.adopt_link, _linked.publish_link
update = _linked.update


def note(**changes) -> None:
    """Writes down what the page shows already, and what is no newer than the address."""
    _linked.put(replace(current(), **changes), is_change=False)


def keep() -> None:
    """Keeps the view over the next run of the page, whose address may be of before the last click."""
    _linked.keep()


def keep_within(*, num_frames: int, num_steps: int, labels: Sequence[str], predicted: str) -> ViewState:
    """Takes out of the view what a clip of so many candidate frames, steps and classes does not have.

    `predicted` is the class that is explained where none is chosen; no class is held against itself.
    """
    view = current()
    emotion = view.emotion if view.emotion in labels else None
    is_contrast = view.instead_of in labels and view.instead_of != (emotion or predicted)
    view = replace(
        view,
        frame=view.frame if view.frame is not None and view.frame < num_frames else None,
        step=view.step if view.step is not None and view.step < num_steps else None,
        emotion=emotion,
        instead_of=view.instead_of if is_contrast else None,
    )
    _linked.put(view, is_change=False)
    return view
