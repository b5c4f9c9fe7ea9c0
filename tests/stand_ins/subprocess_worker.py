"""The worker of subprocess_executor: a job as JSON on stdin, what happens as lines of JSON on stdout.

Files arrive with the job and are written to the current folder, as on a machine that shares no disk.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path[:0] = sys.argv[1:]

from inrbench_core import Job, Progress  # noqa: E402
from inrbench_core.runs.work import work  # noqa: E402


def main() -> None:
    given = json.load(sys.stdin)
    # What a plugin prints must not come between our own lines.
    out, sys.stdout = os.fdopen(os.dup(1), "w"), sys.stderr

    def say(what: str, **message: Any) -> None:
        print(json.dumps({"what": what, **message}), file=out, flush=True)

    def report(run_id: str, progress: Progress) -> None:
        say("progress", run=run_id, progress={**dataclasses.asdict(progress), "metrics": dict(progress.metrics)})

    places = {path: str(_written(path, content)) for path, content in given["files"].items()}
    say("started")
    try:
        for run_id, content in work(Job.from_data(given["job"]), report, places):
            say("finished", run=run_id, content=base64.b64encode(content).decode())
    except Exception as error:
        say("lost", error=f"{type(error).__name__}: {error}")
    else:
        say("ended")


def _written(path: str, content: str) -> Path:
    # Modules that a plugin file imports are looked for beside it.
    place = Path("files", Path(path).name).absolute()
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(base64.b64decode(content))
    return place


if __name__ == "__main__":
    main()
