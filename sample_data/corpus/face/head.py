"""A face that can be rendered: built once per identity, drawn once per frame."""

from __future__ import annotations

import numpy as np

from sample_data.corpus.easing import smooth_step
from sample_data.corpus.face.action_units import Controls, controls
from sample_data.corpus.face.camera import Camera
from sample_data.corpus.face.facial_hair import grow_beard, grow_brows, grow_lashes
from sample_data.corpus.face.film import develop, tone_curve
from sample_data.corpus.face.glasses import build_glasses
from sample_data.corpus.face.groom import grow_hair
from sample_data.corpus.face.identity import IRIS_COLORS, Identity
from sample_data.corpus.face.landmarks import box_around, landmarks, lip_gap
from sample_data.corpus.face.lighting import LIGHTS, Light
from sample_data.corpus.face.mesh import (
    EYE_HEIGHT,
    GLASSES,
    LEFT_EYE,
    LOWER_TEETH,
    RIGHT_EYE,
    SHIRT,
    SKIN,
    TEXTURE_HEIGHT,
    TONGUE,
    UNIT,
    UPPER_TEETH,
    add_morphs,
    halve,
    template,
    wrinkle_maps,
)
from sample_data.corpus.face.mouth import tooth_coordinates
from sample_data.corpus.face.noise import cloth_noise
from sample_data.corpus.face.openings import edge_curves
from sample_data.corpus.face.raster import rasterize, rasterize_below, vertex_normals
from sample_data.corpus.face.shading import Lamps, Paint, Surface, plan_samples, shade
from sample_data.corpus.face.shape import build_shape
from sample_data.corpus.face.skin import MOUTH_TEXELS, NECK_TEXELS, paint_skin
from sample_data.corpus.face.state import FaceState, Picture
from sample_data.corpus.face.strands import View, cast_shadows, draw_strands

NECK_PIVOT = np.array([0.0, EYE_HEIGHT - 3.3 * UNIT, 0.35], np.float32)
"""Around which the head turns, dm."""
SHADOW_SIDE = 192
"""Of the shadow map, texels; 4 dm across."""
SHADOW_CENTER = np.array([0.0, EYE_HEIGHT - 0.2, 0.7])
FULL_DETAIL_SIZE = 448
"""Pixels at which all strands are drawn; fewer in smaller pictures, but no fewer than `LEAST_DETAIL`."""
LEAST_DETAIL = 0.25
HALF_TEXTURE_SIDE = 640
"""Samples up to which half the texture's detail is as good."""
EYE_CONVERGENCE = 0.02
"""By which each eye turns in, radians: people look at a camera that is near."""
GREY = 0.35
"""Linear light behind a face without a background."""


class Head:
    """One person's head.

    Args:
        identity: who it is.
    """

    def __init__(self, identity: Identity):
        self.identity = identity
        self._shape = build_shape(identity)
        self._textures: dict[int, np.ndarray] = {}
        self._build_mesh()
        self._hair = grow_hair(identity, self._shape)
        self._rooted = [
            kind for kind in (grow_beard(identity, self._shape), grow_brows(identity, self._shape)) if kind
        ]
        self._lashes = grow_lashes(identity, self._shape)
        self._rest_lip_gap = lip_gap(self._shape.vertices)

    def _build_mesh(self) -> None:
        """Put together what is drawn: skin, shirt, eyes and mouth in this order, then glasses."""
        head = template()
        middle = head.canonical[head.triangles].mean(axis=1)
        hidden_skin = (head.groups == SKIN) & (middle[:, 1] < -7.2)
        open_collar = (head.groups == SHIRT) & (_inside_collar(middle) > 0.25)
        drawn = np.flatnonzero((head.groups <= TONGUE) & ~hidden_skin & ~open_collar)
        drawn = drawn[np.argsort(head.groups[drawn], kind="stable")]
        triangles, groups = head.triangles[drawn], head.groups[drawn]
        corners = _patch_outside_atlas(head.texture_corners[drawn], groups)
        for group in (LOWER_TEETH, UPPER_TEETH, TONGUE):
            corners[groups == group] = tooth_coordinates(group, triangles[groups == group])
        self._num_skin, self._num_body = int((groups == SKIN).sum()), len(groups)
        self._num_cloth = int((groups == SHIRT).sum())

        vertices, self._num_vertices = self._shape.vertices, len(self._shape.vertices)
        if self.identity.glasses is not None:
            frame, frame_triangles = build_glasses(
                self._shape.eye_centers, self._shape.vertices, self.identity.glasses
            )
            triangles = np.concatenate([triangles, frame_triangles + self._num_vertices])
            groups = np.concatenate([groups, np.full(len(frame_triangles), GLASSES, np.int32)])
            corners = np.concatenate([corners, np.zeros((len(frame_triangles), 3, 2), np.float32)])
            vertices = np.concatenate([vertices, frame])
        num_added = len(vertices) - self._num_vertices
        self._vertices = vertices
        self._triangles = np.ascontiguousarray(triangles, np.int32)
        self._groups, self._corners = groups, np.ascontiguousarray(corners)
        self._occlusion = np.concatenate([head.occlusion, np.ones(num_added, np.float32)])
        self._inside_collar = _inside_collar(head.canonical).astype(np.float32)
        # the neck bends between the shoulders, which stay, and the skull, which turns
        follows = np.concatenate([smooth_step(head.canonical[:, 1], -5.6, -3.4), np.ones(num_added)])
        self._follows = follows.astype(np.float32)[:, None]
        self._eye_vertices = np.concatenate([head.vertices_of(LEFT_EYE), head.vertices_of(RIGHT_EYE)])
        self._upper_teeth = head.vertices_of(UPPER_TEETH)
        self._normals = np.zeros_like(vertices)

    def render(
        self,
        state: FaceState,
        *,
        size: int,
        camera: Camera | None = None,
        light: str = "studio",
        background: np.ndarray | None = None,
        exposure: float = 1.0,
        supersample: int = 2,
    ) -> Picture:
        """A picture of the head.

        Args:
            state: what the face does.
            size: side of the picture, pixels.
            camera: None for the default one.
            light: one of `LIGHTS`.
            background: `(size·supersample, size·supersample, rgb)` linear light; None for grey.
            exposure: gain on all lamps.
            supersample: samples per pixel along each side.
        """
        camera = camera or Camera()
        side = size * supersample
        if background is None:
            background = np.full((side, side, 3), GREY, np.float32)
        if background.shape != (side, side, 3):
            raise ValueError(
                f"The background has the shape {background.shape}, but {size} pixels at {supersample} "
                f"samples a side need {(side, side, 3)}."
            )
        detail = min(1.0, max(LEAST_DETAIL, (size / FULL_DETAIL_SIZE) ** 1.3))
        moves = controls(state, self.identity.age)
        rest, vertices, rotation = self._pose(state, moves)
        surface = self._surface(rest, vertices, camera.project(vertices, side))
        nearness, seen = np.zeros((side, side), np.float32), np.full((side, side), -1, np.int32)
        self._rasterize(surface, nearness, seen)
        view = _view(camera, side, state, rotation)
        lamps = self._lamps(LIGHTS[light], exposure, camera, vertices, view, detail)
        plan = np.empty((side, side), np.uint8)
        plan_samples(seen, self._groups, supersample, plan)
        samples = np.empty((side, side, 3), np.float32)
        paint = self._paint(state, moves, rest, 1 if side <= HALF_TEXTURE_SIDE else 0)
        background = np.ascontiguousarray(background, np.float32)
        shade(plan, supersample, seen, surface, paint, lamps, background, samples)
        for kind in self._rooted:
            draw_strands(kind.strands, kind.moves(rest), view, lamps, nearness, samples, detail**0.5)
        draw_strands(self._lashes.posed(rest), None, view, lamps, nearness, samples, 1.0)
        if self._hair is not None:
            draw_strands(self._hair, None, view, lamps, nearness, samples, detail)
        pixels = np.empty((size, size, 3), np.uint8)
        develop(samples, supersample, tone_curve(), pixels)
        return self._picture(pixels, surface.screen, rest, side)

    def _pose(self, state: FaceState, moves: Controls) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Vertices with the expression, the same in the head's pose, and the pose's rotation."""
        head = template()
        rest = self._vertices.copy()
        weights = head.expression_weights(moves.shapes)
        add_morphs(rest, weights, head.expression_starts, head.expression_vertices, head.expression_moves)
        # eyeballs turn (see `eyes`), they do not morph
        rest[self._eye_vertices] = self._vertices[self._eye_vertices]
        rotation = _rotation(state.yaw, state.pitch, state.roll)
        shift = np.array([*state.shift, 0.0], np.float32)
        turned = (rest - NECK_PIVOT) @ rotation.T + (NECK_PIVOT + shift)
        return rest, rest + self._follows * (turned - rest), rotation

    def _surface(self, rest: np.ndarray, vertices: np.ndarray, screen: np.ndarray) -> Surface:
        vertex_normals(vertices, self._triangles, 0, self._normals)
        return Surface(
            screen=screen,
            vertices=vertices,
            normals=self._normals,
            rest=rest,
            triangles=self._triangles,
            groups=self._groups,
            texture_corners=self._corners,
            occlusion=self._occlusion,
        )

    def _rasterize(self, surface: Surface, nearness: np.ndarray, seen: np.ndarray) -> None:
        triangles, collar = self._triangles, self._num_skin + self._num_cloth
        rasterize(surface.screen, triangles[: self._num_skin], 0, True, nearness, seen)
        rasterize_below(
            surface.screen,
            triangles[self._num_skin : collar],
            self._inside_collar,
            self._num_skin,
            nearness,
            seen,
        )
        rasterize(surface.screen, triangles[collar:], collar, True, nearness, seen)

    def _lamps(
        self, light: Light, exposure: float, camera: Camera, vertices: np.ndarray, view: View, detail: float
    ) -> Lamps:
        directions = light.unit_directions()
        matrix = _shadow_matrix(directions[0].astype(float))
        depths = np.zeros((SHADOW_SIDE, SHADOW_SIDE), np.float32)
        seen = np.empty((SHADOW_SIDE, SHADOW_SIDE), np.int32)
        points = vertices @ matrix[:, :3].T + matrix[:, 3]
        rasterize(points, template().control_triangles, 0, True, depths, seen)
        if self._hair is not None:
            inner = self._hair.num_shadow_points
            cast_shadows(
                self._hair.points[:, :inner],
                int(min(1.0, 1.5 * detail) * len(self._hair)),
                view,
                matrix,
                depths,
            )
        return Lamps(
            directions=directions,
            colors=np.array(light.colors, np.float32) * np.float32(exposure),
            ambient=np.array([light.sky, light.ground], np.float32) * np.float32(exposure),
            camera=camera.position,
            shadow_map=depths,
            shadow_matrix=matrix,
        )

    def _texture(self, level: int) -> np.ndarray:
        """The skin at full (0) or half (1) detail; only what is used is kept, for it is large."""
        if level not in self._textures:
            finest = paint_skin(self.identity)
            self._textures[level] = halve(finest) if level else finest
        return self._textures[level]

    def _paint(self, state: FaceState, moves: Controls, rest: np.ndarray, level: int) -> Paint:
        identity = self.identity
        gaze = [
            _direction(state.gaze[0] + turn, state.gaze[1]) for turn in (-EYE_CONVERGENCE, EYE_CONVERGENCE)
        ]
        frame = identity.glasses.color if identity.glasses else (0.0, 0.0, 0.0)
        return Paint(
            skin=self._texture(level),
            texture_scale=0.5**level,
            wrinkle_maps=wrinkle_maps(level),
            wrinkles=moves.wrinkles.astype(np.float32),
            cloth=cloth_noise(),
            shirt=np.array(identity.shirt_color, np.float32),
            frame=np.array(frame, np.float32),
            iris=np.array(IRIS_COLORS[identity.iris], np.float32),
            eye_centers=self._shape.eye_centers,
            gaze=np.array(gaze, np.float32),
            openings=edge_curves(rest),
            mouth_front=float(rest[self._upper_teeth, 2].max() + 0.02),
        )

    def _picture(self, pixels: np.ndarray, screen: np.ndarray, rest: np.ndarray, side: int) -> Picture:
        marks = landmarks()
        opening = max(0.0, lip_gap(rest) - self._rest_lip_gap)
        return Picture(
            pixels=pixels,
            face_box=box_around(screen, marks.face, side),
            mouth_box=box_around(screen, marks.lips, side),
            eyes_box=box_around(screen, marks.eyes, side),
            lip_opening=opening / float(np.ptp(rest[marks.face, 1])),
        )


def _view(camera: Camera, side: int, state: FaceState, rotation: np.ndarray) -> View:
    return View(
        focal=float(camera.focal(side)),
        middle=side / 2,
        target_x=camera.target[0],
        target_y=camera.target[1],
        camera_z=float(camera.position[2]),
        rotation=rotation,
        pivot=NECK_PIVOT,
        moved_pivot=NECK_PIVOT + np.array([*state.shift, 0.0], np.float32),
    )


def _inside_collar(places: np.ndarray) -> np.ndarray:
    """Positive within an upright tube around the neck that cuts the shirt's round collar."""
    return 1 - np.hypot(places[:, 0] / 2.25, (places[:, 2] - 0.55) / 2.1)


def _patch_outside_atlas(corners: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Give skin that lies outside the baked atlas (neck, mouth cavity) the texture's plain patches."""
    corners = corners.copy()
    neck = (corners[..., 0].min(axis=1) < 4) & (groups == SKIN)
    mouth = (corners[..., 1].max(axis=1) > TEXTURE_HEIGHT - 4) & (groups == SKIN) & ~neck
    for outside, (column, row) in ((neck, NECK_TEXELS), (mouth, MOUTH_TEXELS)):
        corners[outside] = np.array([[column, row], [column + 1, row], [column, row + 1]], np.float32)
    return corners


def _rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    cy, sy, cp, sp, cr, sr = (
        np.cos(yaw),
        np.sin(yaw),
        np.cos(pitch),
        np.sin(pitch),
        np.cos(roll),
        np.sin(roll),
    )
    around_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    around_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    around_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return (around_y @ around_x @ around_z).astype(np.float32)


def _direction(yaw: float, pitch: float) -> tuple[float, float, float]:
    return np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)


def _shadow_matrix(direction: np.ndarray) -> np.ndarray:
    """`(column/row/depth, 4)` that takes points, dm, to the shadow map of a lamp."""
    across = np.cross(direction, [0.0, 1.0, 0.01])
    across /= np.linalg.norm(across)
    scale = SHADOW_SIDE / 4
    rows = []
    for axis in (across, np.cross(across, direction)):
        rows.append([*(axis * scale), SHADOW_SIDE / 2 - axis @ SHADOW_CENTER * scale])
    rows.append([*direction, 10 - direction @ SHADOW_CENTER])
    return np.array(rows, np.float32)
