"""Write the table of official components (kind -> name -> distribution) that core uses to name what is missing.

Run by `make official`, with all plugins of this repository installed; a test says when it is out of date.
"""

from __future__ import annotations

import json
from pathlib import Path

from inrbench_core.plugins.catalog import Catalog
from inrbench_core.plugins.loading import load_catalog

REPOSITORY = Path(__file__).parent.parent
TABLE = REPOSITORY / "inrbench_core" / "plugins" / "official.json"


def official_table(catalog: Catalog) -> dict[str, dict[str, str]]:
    """Names and aliases by kind, of the distributions under plugins/."""
    official = {path.parent.name for path in (REPOSITORY / "plugins").glob("*/pyproject.toml")}
    table: dict[str, dict[str, str]] = {}
    for item in catalog.registered:
        if item.distribution in official:
            for name in (item.entry.name, *item.entry.aliases):
                table.setdefault(item.entry.kind, {})[name] = item.distribution
    return table


if __name__ == "__main__":
    TABLE.write_text(json.dumps(official_table(load_catalog()), indent=1, sort_keys=True) + "\n", encoding="utf-8")
