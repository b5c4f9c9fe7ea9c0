"""The entry of this distribution. Imports no torch."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from inrbench_core import ComponentSpec, ReporterEntry, hookimpl


class StatisticsSpec(ComponentSpec):
    """Fields compared across tasks: mean rank, normalised score, win rate, performance profile, Friedman's test."""

    sort: str = Field("", description="the metric that ranks; default: the one that each task says")
    output: Literal["text", "markdown", "json"] = Field("text", description="how the tables are written")
    picture: str = Field("", description="a file such as across.png for mean ranks and performance profiles as well")


@hookimpl
def inrbench_reporters() -> Iterator[ReporterEntry]:
    yield ReporterEntry(
        "statistics",
        StatisticsSpec,
        "inrbench_report_statistics.report:statistics_report",
        reference="Demsar 2006, JMLR 7; Dolan and More 2002, arXiv:cs/0102001; Agarwal et al. 2021, arXiv:2108.13264",
        api=1,
    )
