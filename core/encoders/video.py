"""Video encoder: a Swin Transformer V2 with frame selection before it and visual sequence compression inside.

Between blocks of the network's third stage (`core.encoders.swin`) the step of `core.compression` removes
tokens, and the blocks behind it work on the smaller grid.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, fields, replace
from itertools import pairwise

import torch
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import Tensor, nn

from core.compression import Choice, Compressed, select_and_merge
from core.config import CompressionConfig, VideoConfig
from core.encoders.alike import Alike, contents
from core.encoders.convolutions import ConvStages
from core.encoders.frame_selector import FrameSelector
from core.encoders.swin import Swin

ELEMENTS_AT_ONCE = 1_600_000
"""Of embedded frames, on a processor and without gradients: four frames of the preset `paper`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class VideoOutput:
    """What the video encoder found, for the clips that have video.

    Attributes:
        frame_vectors: `(batch, kept frame, feature_width)`, in the order of time, real frames first.
        frame_mask: `(batch, kept frame)`.
        selection: the frame-level step; its `tokens` are embedded frames, and large.
        patch_steps: one per compression step; their batch is `batch · kept frame`, all zeros on padding.
    """

    frame_vectors: Tensor
    frame_mask: Tensor
    selection: Compressed
    patch_steps: tuple[Compressed, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class VideoChoice:
    """What the compression is to keep of clips, decided beforehand; None where it decides for itself.

    Attributes:
        frames: of the frame-level step.
        patches: one per compression step, their batch as in `VideoOutput.patch_steps`; empty for none.
    """

    frames: Choice | None = None
    patches: tuple[Choice | None, ...] = ()

    @classmethod
    def made_by(cls, video: VideoOutput) -> VideoChoice:
        """What the compression did: with it, no change of the pictures or of the guide moves the choice."""
        return cls(
            frames=Choice.made_by(video.selection),
            patches=tuple(Choice.made_by(step) for step in video.patch_steps),
        )

    def repeated(self, times: int) -> VideoChoice:
        """That of one clip, for so many versions of it."""
        return VideoChoice(
            frames=_repeated(self.frames, times),
            patches=tuple(_repeated(choice, times) for choice in self.patches),
        )


def _repeated(choice: Choice | None, times: int) -> Choice | None:
    if choice is None:
        return None
    return choice.rows(torch.arange(len(choice.kept), device=choice.kept.device).repeat(times))


class VideoEncoder(nn.Module):
    """Frames of a clip to one vector per kept frame.

    Args:
        config: geometry.
        compression: threshold and variants of the compression step.
        weights: "pretrained" loads `config.backbone`'s weights, "random" does not; without a backbone both
            are random.
    """

    def __init__(self, config: VideoConfig, compression: CompressionConfig, weights: str = "random"):
        super().__init__()
        self.config = config
        self.compression = compression
        self.swin = Swin(config, weights)
        self.conv_stages = None
        if config.early_stages == "conv":
            self.conv_stages = ConvStages(config.embed_dim, config.depths[:2])
        self.selector = FrameSelector(config.embed_dim, config.guide_width, config.frame_width)
        # what to look for whatever is said: the early fusion's bias, kept here so that it can be pretrained
        self.base_guide = nn.Parameter(torch.zeros(config.guide_width))
        self.fit(config.image_size)
        self.register_buffer("mean", torch.tensor(IMAGENET_DEFAULT_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(IMAGENET_DEFAULT_STD).view(3, 1, 1), persistent=False)

    def fit(self, image_size: int) -> None:
        """Tell every block the grid it will meet in pictures of `image_size`.

        Any other size than the configured one (a cheap early phase of training) is not compressed.
        """
        config = self.config
        self._image_size = image_size
        is_compressed = self.compression.enabled and image_size == config.image_size
        self._steps = dict(zip(config.vsc_after, config.vsc_grids, strict=True)) if is_compressed else {}
        self.swin.fit(image_size // config.patch_size, self._steps)

    def embed(self, pictures: Tensor) -> Tensor:
        """`(n, 3, size, size)` in [0, 1] to tokens `(n, size / patch, size / patch, embed_dim)`."""
        if pictures.shape[-1] != self._image_size:
            self.fit(pictures.shape[-1])
        if len(pictures) > 1 and self._is_asked_only(pictures):
            # a picture that is the one before, to the bit, is embedded with it: stills, and frames held still
            is_new = torch.tensor([True, *(not torch.equal(*pair) for pair in pairwise(pictures))])
            if not is_new.all():
                return self._embed(pictures[is_new])[is_new.cumsum(0) - 1]
        return self._embed(pictures)

    def _embed(self, pictures: Tensor) -> Tensor:
        return self.swin.patch_embed((pictures - self.mean) / self.deviation)

    def stages(
        self,
        tokens: Tensor,
        guide: Tensor,
        patches: tuple[Choice | None, ...] = (),
        alike: Alike | None = None,
    ) -> tuple[Tensor, tuple[Compressed, ...]]:
        """Embedded frames through the four stages.

        Args:
            tokens: `(n, rows, columns, embed_dim)`; where `alike` is given, one of every kind.
            guide: `(n, guide_width)`.
            patches: what each compression step is to keep; empty where they decide for themselves.
            alike: which of the n are known to be the same.

        Returns:
            Vectors `(n, feature_width)` and the compression steps.
        """
        is_asked_only = self._is_asked_only(tokens)
        among = Alike.of(tokens) if is_asked_only else Alike.none(tokens)
        alike = among if alike is None else alike.then(among)
        x, steps, begin = among.single(tokens), [], -1
        for position, (rows, columns) in sorted(self._steps.items()):
            x = self._run(begin, position, x, in_parts=is_asked_only)
            choice = patches[len(steps)] if patches else None
            step = select_and_merge(
                alike.every(x).flatten(1, 2), guide, rows * columns, self.compression, choice=choice
            )
            x = (step.tokens * step.gate.unsqueeze(-1)).unflatten(1, (rows, columns))
            alike = alike.after(step) if is_asked_only else alike
            x = alike.single(x)
            steps.append(step)
            begin = position
        return alike.every(self._run(begin, None, x, in_parts=is_asked_only)), tuple(steps)

    def _is_asked_only(self, tokens: Tensor) -> bool:
        return not (torch.is_grad_enabled() or self.training) and tokens.device.type == "cpu"

    def _run(self, begin: int, end: int | None, x: Tensor, *, in_parts: bool) -> Tensor:
        """Through stage 3 from behind block `begin` to behind `end`; -1 is its entrance, None the vectors.

        In parts, what lies between two products stays in the processor's cache.
        """
        num = max(1, ELEMENTS_AT_ONCE // x.shape[1:].numel())
        if not in_parts or len(x) <= num:
            return self._run_whole(begin, end, x)
        return torch.cat([self._run_whole(begin, end, part) for part in x.split(num)])

    def _run_whole(self, begin: int, end: int | None, x: Tensor) -> Tensor:
        if begin < 0:
            x = self._enter_stage3(x)
        x = self.swin.stage3(x, begin + 1, None if end is None else end + 1)
        return self.swin.finish(x) if end is None else x

    def _enter_stage3(self, tokens: Tensor) -> Tensor:
        return self.swin.enter_stage3(tokens) if self.conv_stages is None else self.conv_stages(tokens)

    def select(
        self,
        tokens: Tensor,
        summaries: Tensor,
        mask: Tensor,
        guide: Tensor,
        choice: Choice | None = None,
    ) -> Compressed:
        """The frame-level step, its gate not yet applied.

        Args:
            tokens: `(batch, candidate frame, …)`, merged.
            summaries: `(batch, candidate frame, summary)`, compared (`FrameSelector.summary`).
            mask: `(batch, candidate frame)`.
            guide: `(batch, guide_width)`, the base guide included.
            choice: which to keep, where that is decided.
        """
        is_on = self.compression.enabled
        return select_and_merge(
            tokens,
            self.selector.guide(guide),
            self.config.num_kept_frames if is_on else tokens.shape[1],
            # what follows reads time; and a guide that decides nothing is not to scale anything either
            replace(self.compression, order="raster", train_guide=self.compression.train_guide and is_on),
            metric=self.selector.metric(summaries, mask),
            mask=mask,
            choice=choice,
        )

    def uncompressed(self) -> VideoEncoder:
        """The same encoder, sharing all parameters, in which every frame keeps all its patches.

        It keeps all frames too, unless it is told which.
        """
        return self._twin(self.config, replace(self.compression, enabled=False))

    def keeping(
        self, num_frames: int | None = None, grids: tuple[tuple[int, int], ...] | None = None
    ) -> VideoEncoder:
        """The same encoder, sharing all parameters, that keeps so many frames and patches.

        Args:
            num_frames: as `VideoConfig.num_kept_frames`; None for as many as now.
            grids: as `VideoConfig.vsc_grids`; None for those of now.

        Raises:
            ValueError: if the grids do not fit the network.
        """
        config = self.config
        num_frames = config.num_kept_frames if num_frames is None else num_frames
        grids = config.vsc_grids if grids is None else grids
        return self._twin(replace(config, num_kept_frames=num_frames, vsc_grids=grids), self.compression)

    def _twin(self, config: VideoConfig, compression: CompressionConfig) -> VideoEncoder:
        """With the same parameters; `config` differs in what is kept."""
        shared = {id(value): value for value in (*self.parameters(), *self.buffers())}
        twin = copy.deepcopy(self, shared)
        twin.config, twin.compression = config, compression
        # tables of the windows are made anew for the other grids, in place of the shared ones
        twin.fit(config.image_size)
        return twin

    @torch.no_grad()
    def aim_guide(self, crops: Tensor, strength: float = 2.0) -> None:
        """Let the base guide start at what tells the middle of face crops from their rim.

        By itself relevance is closeness to the mean token, and that is background and cheek: what is left of
        a face then lacks eyes and mouth, and the network behind has nothing to learn from. Training goes on
        from here. Does nothing for an encoder without compression steps.

        Args:
            crops: `(n, 3, size, size)` in [0, 1], of the configured size.
            strength: length of the guide over that of the difference.
        """
        is_on = self.compression.enabled and self.config.vsc_grids
        position = min(self.config.vsc_after) if is_on else None
        if position is None:
            return
        x = self.swin.stage3(self._enter_stage3(self.embed(crops)), 0, position + 1)
        rows, columns = x.shape[1:3]
        middle = torch.zeros(rows, columns, dtype=torch.bool, device=x.device)
        # brows to chin: the forehead takes more of a crop than the neck does
        middle[rows // 4 : rows - rows // 8, columns // 4 : columns - columns // 4] = True
        difference = x[:, middle].mean((0, 1)) - x[:, ~middle].mean((0, 1))
        self.base_guide.copy_(strength * difference)

    def frame_vectors(self, pictures: Tensor) -> Tensor:
        """Vectors `(n, feature_width)` of pictures `(n, 3, size, size)`, by themselves: no clip, no guide."""
        return self.stages(self.embed(pictures), self.base_guide.expand(len(pictures), -1))[0]

    def forward(
        self, frames: Tensor, mask: Tensor, guide: Tensor, choice: VideoChoice | None = None
    ) -> VideoOutput:
        """Encode clips.

        Args:
            frames: `(batch, candidate frame, 3, size, size)` in [0, 1].
            mask: `(batch, candidate frame)` True on real frames, which come first.
            guide: `(batch, guide_width)`.
            choice: what to keep, where that is decided.
        """
        # padding is not shown to the stem, whose batch norm would count it
        embedded = self.embed(frames[mask])
        tokens = embedded.new_zeros(*mask.shape, *embedded.shape[1:])
        tokens[mask] = embedded
        return self.encode(tokens, mask, guide, choice)

    def encode(
        self,
        tokens: Tensor,
        mask: Tensor,
        guide: Tensor,
        choice: VideoChoice | None = None,
        of_clip: Tensor | None = None,
    ) -> VideoOutput:
        """`forward` of embedded frames.

        Args:
            tokens: `(clip, candidate frame, rows, columns, embed_dim)`.
            mask: `(clip, candidate frame)`.
            guide: `(batch, guide_width)`.
            choice: as `forward`.
            of_clip: `(batch,)` which of the clips each guide is for; None for one guide each.
        """
        choice = choice or VideoChoice()
        grid = tokens.shape[2:]
        guide = guide + self.base_guide
        summaries = self.selector.summary(tokens.flatten(0, 1)).unflatten(0, (len(tokens), -1))
        frames, is_asked_only = tokens.flatten(2), self._is_asked_only(tokens)
        # embedded frames are large: where there are several guides to a clip, they are not copied for each
        chosen = summaries if is_asked_only else frames
        if of_clip is not None:
            summaries, mask, chosen = summaries[of_clip], mask[of_clip], chosen[of_clip]
        selection = self.select(chosen, summaries, mask, guide, choice.frames)
        num_kept = selection.kept.shape[1]
        # padding costs as much as frames do, and a batch norm would count it
        real = selection.kept_mask.flatten()
        alike = None
        if is_asked_only:
            of_clip = torch.arange(len(tokens)) if of_clip is None else of_clip
            clips, maps = of_clip.repeat_interleave(num_kept)[real], selection.source_map.flatten(0, 1)[real]
            alike = Alike.by(zip(clips.tolist(), contents(maps), strict=True))
            kept = _merged(frames, alike.single(clips), alike.single(maps))
            merged = _spread(alike.every(kept), real).unflatten(0, selection.kept.shape)
            selection = replace(selection, tokens=merged)
        else:
            kept = selection.tokens.flatten(0, 1)[real]
        patches = tuple(step and step.rows(real.nonzero().squeeze(1)) for step in choice.patches)
        guides = guide.repeat_interleave(num_kept, 0)[real]
        vectors, steps = self.stages(kept.unflatten(1, grid), guides, patches, alike)
        vectors, steps = _spread(vectors, real), tuple(_spread_step(step, real) for step in steps)
        # the frames' gate: scaling their vectors says what a frame is worth, scaling tokens that are
        # normalised afterwards would not
        vectors = vectors.unflatten(0, selection.kept.shape) * selection.gate.unsqueeze(-1)
        return VideoOutput(
            frame_vectors=vectors,
            frame_mask=selection.kept_mask,
            selection=selection,
            patch_steps=steps,
        )


def _merged(frames: Tensor, clips: Tensor, maps: Tensor) -> Tensor:
    """Rows `(row, dim)` merged of the frames `(clip, frame, dim)` of a clip each, by maps `(row, frame)`."""
    merged = frames.new_empty(len(maps), frames.shape[2])
    for clip in clips.unique().tolist():
        merged[clips == clip] = maps[clips == clip] @ frames[clip]
    return merged


def _spread(values: Tensor, real: Tensor) -> Tensor:
    """Values of the real rows at their places among all, zeros elsewhere: `(row, …)`."""
    return values.new_zeros(len(real), *values.shape[1:]).index_put((real,), values)


def _spread_step(step: Compressed, real: Tensor) -> Compressed:
    return Compressed(**{field.name: _spread(getattr(step, field.name), real) for field in fields(step)})
