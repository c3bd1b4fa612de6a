"""A line cut out of its page: straightened along its baseline, with nothing of its neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ocrtrain.data.formats.pages.baseline import check
from ocrtrain.data.images.image import MAX_PIXELS
from ocrtrain.errors import InputError

LONGEST = 20_000  # pixels
_BLOCK = 1024  # points of an outline that are measured at a time
_AROUND = 2.0  # pixels beyond the page's edges, for what lies half outside
_STEP = 16.0  # pixels of the baseline to one piece of the mesh


def cut_line(
    page: Image.Image, outline: NDArray[np.float64], baseline: NDArray[np.float64] | None
) -> Image.Image:
    """Cut the line within `outline` out of `page` (mode L or RGB), its baseline made straight and level.

    outline, baseline: float64 [points, 2], x and y in pixels; without a baseline, the outline's box is cut.
    What lies outside of the outline becomes the colour of the paper within it. The image is as high as the
    outline reaches above and below the baseline, at the page's own scale; the baseline leads from the left of
    the letters to their right. Raises `InputError` for an outline that does not meet the page, has no extent,
    or is that of another line.
    """
    outline = _within(outline, page.size)
    if baseline is None:
        middle = (outline[:, 1].min() + outline[:, 1].max()) / 2
        baseline = np.array([[outline[:, 0].min(), middle], [outline[:, 0].max(), middle]])
    baseline = _distinct(baseline)
    check(outline, baseline)
    path, normals = _smooth(_extended(baseline, outline), outline)
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
    if along[-1] > LONGEST:  # before anything that would take long for it
        raise InputError("", "line is longer than any page", "mend its coordinates.")
    up, down = _reach(outline, path, normals)
    size = (max(1, round(along[-1])), max(1, round(up + down)))
    if max(size) > LONGEST or size[0] * size[1] > MAX_PIXELS:
        raise InputError("", "line is longer than any page", "mend its coordinates.")

    # Only the line's surroundings: turning a whole page for each of its lines would take minutes.
    corners = np.concatenate([path - normals * up, path + normals * down, outline])
    origin = np.maximum(np.floor(corners.min(axis=0)) - 1.0, -_AROUND)
    ends = np.minimum(np.ceil(corners.max(axis=0)) + 2.0, np.array(page.size) + _AROUND)
    (left, upper), (right, lower) = ((int(v) for v in corner) for corner in (origin, ends))
    part = page.crop((left, upper, right, lower))
    mask = Image.new("L", part.size, 0)
    ImageDraw.Draw(mask).polygon(
        [tuple(point) for point in (outline - origin).tolist()], fill=255, outline=255
    )

    mesh = []
    edges = (along * size[0] / along[-1]).round().astype(int)
    above, below = path - origin - normals * up, path - origin + normals * down
    for i in range(len(path) - 1):
        if edges[i + 1] > edges[i]:
            # Pillow's order of corners: upper left, lower left, lower right, upper right.
            quad = (*above[i], *below[i], *below[i + 1], *above[i + 1])
            mesh.append(((int(edges[i]), 0, int(edges[i + 1]), size[1]), tuple(float(v) for v in quad)))
    line, inside = (
        picture.transform(size, Image.Transform.MESH, mesh, Image.Resampling.BILINEAR)
        for picture in (part, mask)
    )
    pixels, kept = np.asarray(line), np.asarray(inside) > 127
    if not kept.any():
        raise InputError("", "outline of the line has no extent", "mend its coordinates.")
    paper = tuple(int(v) for v in np.atleast_1d(_paper(pixels[kept])))
    ground = Image.new(line.mode, size, paper if len(paper) > 1 else paper[0])
    ground.paste(line, mask=Image.fromarray((kept * 255).astype(np.uint8)))
    return ground


def _within(outline: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """Pull points that lie outside of the page to its edge, as exports have a few of them."""
    limits = np.array(size, np.float64) - 1.0
    if (outline.max(axis=0) <= 0).any() or (outline.min(axis=0) >= limits).any():
        raise InputError("", "line lies outside of the page's image", "mend its coordinates.")
    clipped = np.clip(outline, 0.0, limits)
    if len(clipped) < 3 or (np.ptp(clipped, axis=0) < 2.0).any():
        raise InputError("", "outline of the line has no extent", "mend its coordinates.")
    return clipped


def _distinct(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Drop points that lie where the one before them does; raises `InputError` if none are left to go by."""
    steps = np.hypot(*np.diff(points, axis=0).T)
    kept = points[np.concatenate([[True], steps > 1e-6])]
    if len(kept) < 2 or float(np.hypot(*(kept[-1] - kept[0]))) < 2.0:
        raise InputError("", "baseline of the line has no extent", "mend its coordinates.")
    return kept


def _extended(baseline: NDArray[np.float64], outline: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lengthen the baseline at both ends, straight on, as far as the outline reaches beyond them."""
    height = float(np.ptp(outline, axis=0).min())
    for _ in range(2):
        end = baseline[-1]
        # The last bit of a baseline drawn by hand may point anywhere: look at as much as the line is high.
        far = np.flatnonzero(np.hypot(*(baseline - end).T) > height)
        ahead = end - baseline[far[-1] if len(far) else 0]
        ahead = ahead / np.hypot(*ahead)
        beyond = float(((outline - end) @ ahead).max())
        if beyond > 0.5:
            baseline = np.concatenate([baseline, (end + ahead * beyond)[None]])
        baseline = baseline[::-1]
    return baseline


def _smooth(
    path: NDArray[np.float64], outline: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Take points along the path at nearly even distances, and the direction downwards at each.

    Distances are whole pixels, so that a level line loses nothing to resampling. Directions are averaged over
    about the line's height: at the corners of a path drawn by hand the letters would fan out or overlap
    otherwise.
    """
    lengths = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
    pieces = int(np.clip(np.ceil(lengths[-1] / _STEP), 1, 4096))
    columns = max(1, round(lengths[-1]))
    at = np.linspace(0.0, columns, pieces + 1).round() * (lengths[-1] / columns)
    points = np.stack([np.interp(at, lengths, path[:, axis]) for axis in (0, 1)], axis=1)
    along = np.diff(points, axis=0)
    chord = path[-1] - path[0]
    span = np.abs((outline - path[0]) @ np.array([-chord[1], chord[0]])).max() / np.hypot(*chord)
    reach = int(np.clip(2 * span / _STEP, 1, pieces)) | 1
    padded = np.concatenate([along[:1].repeat(reach, 0), along, along[-1:].repeat(reach, 0)])
    kernel = np.hanning(reach + 2)[1:-1]
    smooth = np.stack([np.convolve(padded[:, a], kernel / kernel.sum(), "same") for a in (0, 1)], axis=1)
    at_points = (smooth[reach - 1 : reach + pieces] + smooth[reach : reach + pieces + 1]) / 2
    normals = np.stack([-at_points[:, 1], at_points[:, 0]], axis=1)
    return points, normals / np.maximum(np.hypot(*normals.T), 1e-9)[:, None]


def _reach(
    outline: NDArray[np.float64], path: NDArray[np.float64], normals: NDArray[np.float64]
) -> tuple[float, float]:
    """Tell how far the outline lies above and below the path, in pixels."""
    parts = []
    for start in range(0, len(outline), _BLOCK):
        part = outline[start : start + _BLOCK]
        nearest = np.argmin(((part[:, None] - path[None]) ** 2).sum(-1), axis=1)
        parts.append(((part - path[nearest]) * normals[nearest]).sum(-1))
    depths = np.concatenate(parts)
    up, down = max(0.0, -float(depths.min())), max(0.0, float(depths.max()))
    if up + down < 2.0:
        raise InputError("", "outline of the line has no extent", "mend its coordinates.")
    return up, down


def _paper(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.median(pixels, axis=0).astype(np.uint8)
