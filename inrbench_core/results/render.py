"""Rendering a fitted field with its task's renderer, or plainly where the task's plugin is not installed."""

from __future__ import annotations

from inrbench_core.api.entries import TaskEntry, load_object
from inrbench_core.api.problem import Renderer
from inrbench_core.plugins.catalog import Catalog, LookupFailure
from inrbench_core.results.field import FittedField


def make_renderer(fitted: FittedField, catalog: Catalog) -> Renderer:
    """What renders a fitted field and writes files."""
    try:
        entry = catalog.find("task", fitted.record.run["task"]["name"]).entry
    except LookupFailure:
        return Renderer(fitted.frame, fitted.device)
    assert isinstance(entry, TaskEntry)
    kind = load_object(entry.renderer) if entry.renderer else Renderer
    renderer: Renderer = kind(fitted.frame, fitted.device)
    return renderer
