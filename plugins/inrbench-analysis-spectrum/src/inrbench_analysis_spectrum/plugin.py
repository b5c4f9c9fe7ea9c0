"""The entry of this distribution. Imports no torch."""

from collections.abc import Iterator

from pydantic import Field

from inrbench_core import AnalysisEntry, ComponentSpec, Metric, hookimpl


class SpectrumSpec(ComponentSpec):
    """Error by frequency at each evaluation, for signals on a grid."""

    rings: int = Field(32, ge=3, le=4096, description="bands of equal width that frequencies are sorted into")
    points: int = Field(
        16_384,
        ge=2,
        le=1 << 22,
        description="points at most; of a signal with more samples only every 2nd, 3rd, ... along each axis is used",
    )


@hookimpl
def inrbench_analyses() -> Iterator[AnalysisEntry]:
    yield AnalysisEntry(
        "spectrum",
        SpectrumSpec,
        "inrbench_analysis_spectrum.spectrum:Spectrum",
        reference="Rahaman et al. 2019, arXiv:1806.08734",
        formula="sum over k in a ring of |FFT(model - target)(k)|^2 / n^2",
        metrics=(
            Metric("low_error", higher_is_better=False),
            Metric("high_error", higher_is_better=False),
            Metric("half_frequency", "cycles"),
        ),
        api=1,
    )
