"""The entries of this distribution. Imports no torch."""

from collections.abc import Iterator

from pydantic import Field

from inrbench_core import ComponentSpec, FieldEntry, Width, hookimpl


class GridSpec(ComponentSpec):
    """Values at the points of a regular grid, linear in between: no network, but the measure of them.

    Linear in its parameters, so that the least squares of a picture, a recording or a scan have one solution, which
    L-BFGS on the full batch comes near to in a few hundred iterations and Adam in thousands. With as many points as
    samples it copies them; where data are noisy or few, the number of points and `smoothness` decide what it is worth.
    """

    points: Width = Field(
        65_536, description="grid points in all, shared out among the axes as the samples are, or {parameters: N}"
    )
    smoothness: float = Field(
        0.0, ge=0, description="weight of the mean squared gradient, per unit of coords, in the loss"
    )

    def derivatives(self) -> int | None:
        return 1


@hookimpl
def inrbench_fields() -> Iterator[FieldEntry]:
    yield FieldEntry(
        "grid",
        GridSpec,
        "inrbench_field_grid.grid:make_grid",
        formula="sum over the 2^D corners v of x's cell of table[v] * product over axes of (1 - |x - v| / cell)",
        # Each value sees the few points of its cells, so its gradient is small.
        training={"lr": 1e-2},
        baseline=True,
        api=1,
    )
