"""The torch half of trouble_plugin: the stand-in task of small_plugin, with more ways to go wrong."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path
from typing import Any

import torch
from small_plugin_torch import Line
from torch import nn

from inrbench_core import Evaluation

LONG_S = 600
# A folder in which each evaluation leaves a file.
PLACE = "TROUBLE_PLACE"
# What to do in place of what the spec says, so that the same run can go well and badly.
DO = "TROUBLE_DO"


class TroubledLine(Line):
    def __init__(self, spec: Any, device: torch.device) -> None:
        spec_of_line = type("Spec", (), {"trouble": "", "samples": spec.samples})
        super().__init__(spec_of_line, device)
        self.do = os.environ.get(DO, spec.do)
        file = Path(spec.source)
        frequency = float(file.read_text() if file.is_file() else spec.source)
        self.values = torch.sin(frequency * self.points)

    def evaluate(self, model: nn.Module, *, full: bool = True) -> Evaluation:
        if PLACE in os.environ:
            (Path(os.environ[PLACE]) / f"{os.getpid()}-{time.monotonic_ns()}").touch()
        if self.do:
            getattr(self, self.do)()
        return super().evaluate(model, full=full)

    def die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def die_once(self) -> None:
        """The first evaluation of all ends its process."""
        if len(list(Path(os.environ[PLACE]).iterdir())) == 1:
            self.die()

    def fork(self) -> None:
        """The process dies, and a child of it lives on with all that it had open."""
        if os.fork() == 0:
            time.sleep(LONG_S)
        self.die()

    def c_fork(self) -> None:
        """As `fork`, by a library that Python does not know of."""
        if ctypes.PyDLL(None).fork() == 0:
            time.sleep(LONG_S)
        self.die()

    def fork_and_sleep(self) -> None:
        if os.fork() == 0:
            time.sleep(LONG_S)
        self.sleep()

    def hold(self) -> None:
        """A long step in C, during which no Python runs in this process."""
        ctypes.PyDLL(None).sleep(LONG_S)

    def sleep(self) -> None:
        time.sleep(LONG_S)

    def bad_preview(self) -> None:
        """See `_score`."""

    def _score(self, values: torch.Tensor) -> Evaluation:
        evaluation = super()._score(values)
        if self.do == "bad_preview":
            evaluation = Evaluation(evaluation.metrics, evaluation.outputs, evaluation.preview / 255.0)
        return evaluation


def prepare(spec: Any, *, device: torch.device, seeds: Any) -> TroubledLine:
    return TroubledLine(spec, device)
