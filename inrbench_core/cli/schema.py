"""`inrbench schema`: a JSON Schema of specs, for editors."""

from __future__ import annotations

from inrbench_core.cli.common import PluginFiles, get_catalog, print_json


def schema(plugin_files: PluginFiles = None) -> None:
    """Print a JSON Schema of spec files that knows every installed component."""
    from inrbench_core.spec.schema import experiment_schema

    print_json(experiment_schema(get_catalog(plugin_files)))
