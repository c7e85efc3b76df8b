"""A software rasteriser: which triangle each sample sees. Colours come later, once per sample (`shading`).

No graphics library takes part, so the same numbers come out wherever the same code is compiled.
Screen points are `(vertex, x/y/nearness)`: pixels from the left and the top, and one over the depth.
"""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True, fastmath=True)
def rasterize(points, triangles, first_id, cull, nearness, seen):
    """Note, per sample, the nearest triangle.

    Args:
        points: `(vertex, 3)` screen points.
        triangles: `(triangle, 3)`.
        first_id: what the first triangle is called in `seen`.
        cull: whether triangles that face away are left out.
        nearness: `(row, column)` of what was seen so far; updated.
        seen: `(row, column)` triangle per sample; updated.
    """
    height, width = nearness.shape
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        x0, y0, z0 = points[a, 0], points[a, 1], points[a, 2]
        x1, y1, z1 = points[b, 0], points[b, 1], points[b, 2]
        x2, y2, z2 = points[c, 0], points[c, 1], points[c, 2]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if (cull and area >= 0) or (area > -1e-9 and area < 1e-9):
            continue
        left = max(0, int(np.ceil(min(x0, x1, x2) - 0.5)))
        right = min(width - 1, int(np.floor(max(x0, x1, x2) - 0.5)))
        top = max(0, int(np.ceil(min(y0, y1, y2) - 0.5)))
        bottom = min(height - 1, int(np.floor(max(y0, y1, y2) - 0.5)))
        inverse = 1.0 / area
        for row in range(top, bottom + 1):
            y = row + 0.5
            for column in range(left, right + 1):
                x = column + 0.5
                w0 = ((x1 - x) * (y2 - y) - (x2 - x) * (y1 - y)) * inverse
                w1 = ((x2 - x) * (y0 - y) - (x0 - x) * (y2 - y)) * inverse
                w2 = 1.0 - w0 - w1
                if w0 < 0 or w1 < 0 or w2 < 0:
                    continue
                z = w0 * z0 + w1 * z1 + w2 * z2
                if z > nearness[row, column]:
                    nearness[row, column] = z
                    seen[row, column] = t + first_id


@numba.njit(cache=True, fastmath=True)
def rasterize_below(points, triangles, edge, first_id, nearness, seen):
    """As `rasterize`, only where the interpolated `(vertex,)` values of `edge` are not positive.

    It cuts a smooth neckline through triangles; those that face away are left out.
    """
    height, width = nearness.shape
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        x0, y0, x1, y1 = points[a, 0], points[a, 1], points[b, 0], points[b, 1]
        x2, y2 = points[c, 0], points[c, 1]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if area >= -1e-9:
            continue
        left = max(0, int(np.ceil(min(x0, x1, x2) - 0.5)))
        right = min(width - 1, int(np.floor(max(x0, x1, x2) - 0.5)))
        top = max(0, int(np.ceil(min(y0, y1, y2) - 0.5)))
        bottom = min(height - 1, int(np.floor(max(y0, y1, y2) - 0.5)))
        inverse = 1.0 / area
        for row in range(top, bottom + 1):
            y = row + 0.5
            for column in range(left, right + 1):
                x = column + 0.5
                w0 = ((x1 - x) * (y2 - y) - (x2 - x) * (y1 - y)) * inverse
                w1 = ((x2 - x) * (y0 - y) - (x0 - x) * (y2 - y)) * inverse
                w2 = 1.0 - w0 - w1
                if w0 < 0 or w1 < 0 or w2 < 0:
                    continue
                if w0 * edge[a] + w1 * edge[b] + w2 * edge[c] > 0:
                    continue
                z = w0 * points[a, 2] + w1 * points[b, 2] + w2 * points[c, 2]
                if z > nearness[row, column]:
                    nearness[row, column] = z
                    seen[row, column] = t + first_id


@numba.njit(cache=True, fastmath=True)
def vertex_normals(vertices, triangles, first_vertex, normals):
    """Write unit normals, averaged over the triangles around, from `first_vertex` on.

    Args:
        vertices: `(vertex, 3)`.
        triangles: `(triangle, 3)`, all of vertices from `first_vertex` on.
        first_vertex: normals of earlier vertices stay as they are.
        normals: `(vertex, 3)`, updated.
    """
    normals[first_vertex:] = 0
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ux, uy, uz = (
            vertices[b, 0] - vertices[a, 0],
            vertices[b, 1] - vertices[a, 1],
            vertices[b, 2] - vertices[a, 2],
        )
        vx, vy, vz = (
            vertices[c, 0] - vertices[a, 0],
            vertices[c, 1] - vertices[a, 1],
            vertices[c, 2] - vertices[a, 2],
        )
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for vertex in (a, b, c):
            normals[vertex, 0] += nx
            normals[vertex, 1] += ny
            normals[vertex, 2] += nz
    for vertex in range(first_vertex, vertices.shape[0]):
        x, y, z = normals[vertex, 0], normals[vertex, 1], normals[vertex, 2]
        scale = 1.0 / (np.sqrt(x * x + y * y + z * z) + 1e-12)
        normals[vertex, 0] *= scale
        normals[vertex, 1] *= scale
        normals[vertex, 2] *= scale
