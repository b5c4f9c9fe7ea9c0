"""Recordings that another distribution carries. Imports no torch."""

from inrbench_core.api.sources import Sample

EXTRA = "inrbench-task-audio[samples]"
SAMPLES = {
    "flute": Sample(
        "pyo",
        "flute.aif",
        "0b258e8c892183263dd3e65c6434b48f311f5d988a4c581e52555a1a5babbff1",
        "from pyo, LGPL-3+; no terms of its own",
        EXTRA,
    ),
    "speech": Sample(
        "pyo",
        "baseballmajeur_m.aif",
        "757cc71f338ec522457d57d6fbe91d2a93adfbc80095cb30f942d6db5b815aca",
        "from pyo, LGPL-3+; no terms of its own",
        EXTRA,
    ),
}
