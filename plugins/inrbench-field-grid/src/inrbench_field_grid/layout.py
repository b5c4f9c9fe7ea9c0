"""How many grid points go along each axis. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Iterator

# With one, some budgets for three short axes are missed by more than 2 %.
SLACK = 2
# Misses are told apart by this share of the points.
NEAR = 0.005


def grid_sizes(points: int, proportions: tuple[float, ...]) -> tuple[int, ...]:
    """Sizes along the axes, in about the given proportions, whose product is near to `points`.

    The product counts first, and the proportions among products that are equally near.

    Args:
        points: grid points wanted in all, from 1.
        proportions: how the sizes should relate, all above 0; no axis gets less than one point.
    """
    # From the shortest on: an axis that is cut off at one point leaves more to the others.
    order = sorted(range(len(proportions)), key=lambda axis: proportions[axis])
    layouts = _layouts(points, tuple(proportions[axis] for axis in order))

    def badness(sizes: tuple[int, ...]) -> tuple[int, float]:
        densities = [size / proportions[axis] for size, axis in zip(sizes, order, strict=True)]
        return int(abs(math.prod(sizes) - points) / (NEAR * points)), max(densities) / min(densities)

    best = min(layouts, key=badness)
    return tuple(size for _, size in sorted(zip(order, best, strict=True)))


def _layouts(points: float, proportions: tuple[float, ...]) -> Iterator[tuple[int, ...]]:
    """Every axis but the last with up to SLACK points more or less; the last one makes up for them."""
    first, *others = proportions
    if not others:
        yield (max(1, round(points)),)
        return
    ideal = first * (points / math.prod(proportions)) ** (1 / len(proportions))
    for size in range(max(1, math.floor(ideal) - SLACK + 1), math.floor(ideal) + SLACK + 1):
        for rest in _layouts(points / size, tuple(others)):
            yield (size, *rest)
