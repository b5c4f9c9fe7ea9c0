"""The entry of this distribution, and its command. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field

from inrbench_core import AnalysisEntry, ComponentSpec, Metric, hookimpl

KernelMoment = Literal["start", "evaluation", "end"]

METRICS = (
    # Of the spectrum, at the last moment that it was computed.
    Metric("participation_ratio", higher_is_better=None),
    Metric("decay_exponent", higher_is_better=None),
    Metric("entropy_rank", higher_is_better=None, column=False),
    Metric("leading_count", higher_is_better=None, column=False),
    Metric("eigenvalue_mean", higher_is_better=None, column=False),
    Metric("eigenvalue_variance", higher_is_better=None, column=False),
    # Of the target in it.
    Metric("target_energy_1", column=False),
    Metric("target_energy_10", column=False),
    Metric("target_energy_100"),
    Metric("alignment", column=False),
    Metric("silent_share", higher_is_better=False),
    Metric("output_share", higher_is_better=None, column=False),
    # Predicted at the start, and measured.
    Metric("linearised_error", higher_is_better=False),
    Metric("linearised_held_out_error", higher_is_better=False),
    Metric("fit_error", higher_is_better=False, column=False),
    Metric("held_out_error", higher_is_better=False, column=False),
    Metric("drift", higher_is_better=None),
    Metric("ring_agreement", higher_is_better=None),
)


class NtkSpec(ComponentSpec):
    """The neural tangent kernel at a signal's points, and the learning by frequency that it predicts."""

    points: int = Field(
        1024,
        ge=2,
        le=1 << 18,
        description="points at most: of a grid with more samples every 2nd, 3rd, ... along each axis; up to 4,096 the "
        "whole kernel is computed, beyond it the leading eigenvalues and estimates of the others",
    )
    moments: tuple[KernelMoment, ...] = Field(
        ("start", "end"), min_length=1, description="when the kernel is computed: start, evaluation, end"
    )
    top: int = Field(100, ge=1, le=1000, description="leading eigenvalues to compute where the whole kernel is not")
    channels: Literal["mean", "full"] = Field(
        "mean", description="of several values a point: the mean of their kernels, or the kernel of all together"
    )
    rings: int = Field(16, ge=3, le=256, description="rings of frequency, geometric, for the response")
    modes: int = Field(
        4, ge=1, le=64, description="Fourier modes to draw from each ring where the whole kernel is not known"
    )
    response_points: int = Field(
        4096, ge=2, le=1 << 20, description="points at most for the response and the measured error by frequency"
    )
    preview: bool = Field(True, description="draw a picture of all of it at the end")


@hookimpl
def inrbench_analyses() -> Iterator[AnalysisEntry]:
    yield AnalysisEntry(
        "ntk",
        NtkSpec,
        "inrbench_analysis_ntk.ntk:Ntk",
        reference="Jacot et al. 2018, arXiv:1806.07572; INR-Bench 2025, arXiv:2510.10188",
        formula="K(x, x') = sum over parameters p of df(x)/dp df(x')/dp",
        metrics=METRICS,
        api=1,
    )


@hookimpl
def inrbench_commands(app: Any) -> None:
    from inrbench_analysis_ntk.command import add_command

    add_command(app)
