"""The entry of this distribution. Imports no torch."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from inrbench_core import AnalysisEntry, ComponentSpec, Metric, hookimpl


class SpectrumSpec(ComponentSpec):
    """Error by frequency at each evaluation, for signals on a grid; of recordings also by octave band in Hz."""

    rings: int = Field(
        32,
        ge=3,
        le=4096,
        description="rings of |k| that frequencies are sorted into; those that hold none of the grid's are left out",
    )
    spacing: Literal["auto", "linear", "geometric"] = Field(
        "auto",
        description="rings of equal width (linear), or the mean alone and then rings whose edges have equal ratios "
        "(geometric); auto: geometric in one dimension, linear in two and three",
    )
    points: int | None = Field(
        None,
        ge=2,
        le=1 << 24,
        description="points at most; of a signal with more samples only every 2nd, 3rd, ... along each axis is used; "
        "default: 524,288 in one dimension, 16,384 in two and three",
    )


@hookimpl
def inrbench_analyses() -> Iterator[AnalysisEntry]:
    yield AnalysisEntry(
        "spectrum",
        SpectrumSpec,
        "inrbench_analysis_spectrum.spectrum:Spectrum",
        reference="Rahaman et al. 2019, arXiv:1806.08734; octave bands by IEC 61260-1:2014",
        formula="sum over k in a ring of |FFT(model - target)(k)|^2 / n^2",
        metrics=(
            Metric("low_error", higher_is_better=False),
            Metric("high_error", higher_is_better=False),
            Metric("half_frequency", "cycles"),
        ),
        api=1,
    )
