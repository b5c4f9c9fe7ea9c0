"""The video task: fit colour over time and place, with frames held out at a fixed stride."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from inrbench_task_image.metrics import ssim
from inrbench_task_image.transform_coding import dct_coded
from torch import Tensor, nn

from inrbench_core import (
    Batch,
    DataError,
    Evaluation,
    FieldShape,
    Frame,
    Index,
    Problem,
    SeedStreams,
    cached_arrays,
    decibels,
    grid_coords,
    linear_frame,
)
from inrbench_task_video.between import Fade, Motion
from inrbench_task_video.clip import Clip, load_clip
from inrbench_task_video.plugin import VideoSpec
from inrbench_task_video.renderer import colours, eight_bits, predicted_frames, sheet

Array = np.ndarray[Any, Any]

CURVE_PIXELS = 131_072
INTERPOLATIONS: dict[str, type[Fade | Motion]] = {"linear": Fade, "motion_compensated": Motion}
# By whether positions are counted.
CODES = {"dct": False, "dct_counted": True}


def prepare(spec: VideoSpec, *, device: torch.device, seeds: SeedStreams) -> VideoProblem:
    """Load the clip. Raises DataError if it cannot be used."""
    return VideoProblem(load_clip(spec), spec, device=device, seeds=seeds)


class VideoProblem(Problem):
    """f: (t, y, x) -> colour, coordinates and colours in [-1, 1], first and last samples at the ends.

    Args:
        clip: the signal.
        spec: `keep_every` says which frames are trained on, the last always, so that each other lies between two of
            them; `values_per_parameter` how many numbers transform coding may keep.
        seeds: decide which pixels the curve looks at, if there are too many.
    """

    def __init__(self, clip: Clip, spec: VideoSpec, *, device: torch.device, seeds: SeedStreams) -> None:
        self.clip = clip
        self.frames = clip.frames
        self.device = device
        count, height, width, channels = clip.frames.shape
        self.train = sorted({*range(0, count, spec.keep_every or 1), count - 1})
        self.held_out = [frame for frame in range(count) if frame not in self.train]
        self.numbers = max(1, int(clip.frames.size / spec.values_per_parameter))
        self._train = torch.tensor(self.train, device=device)
        self._values = torch.from_numpy(clip.frames).reshape(-1, channels).to(device)
        self._axes = [grid_coords((size,), device).squeeze(1) for size in (count, height, width)]
        self._curve = _curve_pixels(count, height * width, seeds).to(device)
        self.shapes = {"field": FieldShape(3, channels, (count, height, width))}
        self.elements = len(self.train) * height * width
        self.record = {
            **clip.record,
            "keep_every": spec.keep_every or 1,
            "held_out_frames": len(self.held_out),
            "curve_pixels_per_frame": self._curve.shape[1],
        }

    def batch(self, index: Index) -> Batch:
        """coords (n, 3) and values (n, C) of pixels of the training frames."""
        if isinstance(index, slice):
            index = torch.arange(*index.indices(self.elements), device=self.device)
        pixels = self._axes[1].numel() * self._axes[2].numel()
        chosen = self._train[index // pixels] * pixels + index % pixels
        return {"coords": self._coords(chosen), "values": self._field_values(chosen)}

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Squared error of the colour, averaged over its channels."""
        error: Tensor = model(batch["coords"]) - batch["values"]
        return error.square().mean(dim=1)

    def evaluate(self, model: nn.Module, *, full: bool = True) -> Evaluation:
        """All metrics; on the curve psnr only, over `curve_pixels_per_frame` random pixels of each frame."""
        if full:
            return self._measure(predicted_frames(model, self.frames.shape[:3], self.device))
        pixels = self._curve.flatten()
        errors = (colours(model, self._coords(pixels)) - self._values[pixels] / 255.0).square()
        means = errors.reshape(len(self._curve), -1).mean(dim=1).tolist()
        return Evaluation({"psnr": _mean(decibels(1.0, error) for error in means)})

    def baseline(self, name: str) -> Evaluation:
        """constant: the training frames' mean colour; held-out frames made of the neighbouring training frames: linear
        blends them, and motion_compensated moves them first, see `Motion`; or the whole clip coded as in
        `dct_coded`, in `numbers` numbers, dct_counted counting positions.

        What is made of neighbours copies the training frames, so that only its psnr_held_out means something. Coding
        sees all frames, so that its psnr_held_out means nothing. What means nothing is NaN.
        """
        if name == "constant":
            colour = np.mean([self.frames[t].mean(axis=(0, 1)) for t in self.train], axis=0) / 255.0
            shape = self.frames.shape
            return self._measure(torch.from_numpy(colour.astype(np.float32)).expand(shape))
        if name in INTERPOLATIONS:
            evaluation = self._evaluation(self._interpolated(name))
            metrics = {key: value if key == "psnr_held_out" else math.nan for key, value in evaluation.metrics.items()}
            return replace(evaluation, metrics=metrics)
        if name in CODES:
            coded = dct_coded(self.frames / np.float32(255.0), self.numbers, counted=CODES[name])
            evaluation = self._measure(torch.from_numpy(coded.clip(0.0, 1.0)))
            metrics = {**evaluation.metrics, "psnr_held_out": math.nan}
            return replace(evaluation, metrics=metrics, parameters=self.numbers)
        raise DataError(f"the video task has no baseline {name!r}")

    def truth(self) -> Array:
        return sheet(self.frames, self.held_out)

    @property
    def frame(self) -> Frame:
        """Time in s of the source, or its frame number where that has no regular times; row and column of the source,
        pixels, as they were before shrinking; colour from black to white as the source has it: 255, or 1 for floats.
        """
        count, *size, channels = self.frames.shape
        first = float(self.clip.start)
        time = ("s", *self.clip.times) if self.clip.times else ("frame", first, first + count - 1)
        rows, columns = (
            ("px", whole / kept / 2.0 - 0.5, whole - whole / kept / 2.0 - 0.5)
            for whole, kept in zip(self.clip.source_size or size, size, strict=True)
        )
        names = ("grey",) if channels == 1 else ("red", "green", "blue")
        field = linear_frame(
            {"time": time, "row": rows, "column": columns},
            dict.fromkeys(names, ("", 0.0, self.clip.white)),
            (count, *size),
        )
        return Frame({"field": field}, {"frames": count, "fps": self.clip.fps, "held_out": list(self.held_out)})

    def target(self, coords: Tensor, field: str = "") -> Tensor:
        """The colour of the nearest pixel of the nearest frame, held out or not."""
        _, height, width = self.frames.shape[:3]
        t, y, x = self._nearest(coords).unbind(dim=1)
        return self._field_values((t * height + y) * width + x)

    def is_trained(self, coords: Tensor, field: str = "") -> Tensor:
        """Whether the nearest frame is not held out."""
        return torch.isin(self._nearest(coords)[:, 0], self._train)

    def _nearest(self, coords: Tensor) -> Tensor:
        """Frame, row and column, int64 (n, 3), of the pixels nearest to coords (n, 3)."""
        last = torch.tensor(self.frames.shape[:3], device=coords.device) - 1
        return ((coords + 1.0) / 2.0 * last).round().long().clamp(last.new_zeros(3), last)

    def _coords(self, pixel: Tensor) -> Tensor:
        """Coordinates (n, 3) of pixels counted through all frames."""
        _, height, width = (axis.numel() for axis in self._axes)
        t, y, x = self._axes
        row = pixel // width
        return torch.stack([t[row // height], y[row % height], x[pixel % width]], dim=1)

    def _field_values(self, pixel: Tensor) -> Tensor:
        """Colours (n, C) in [-1, 1] of pixels counted through all frames."""
        return self._values[pixel] / 127.5 - 1.0

    def _between(self, pair: type[Fade | Motion]) -> Iterator[Array]:
        """All frames (H, W, C) in [0, 1], in order; held-out ones as a pair of their neighbours gives them."""
        for before, after in itertools.pairwise(self.train):
            first, second = (self.frames[t] / np.float32(255.0) for t in (before, after))
            yield first
            if after - before > 1:
                neighbours = pair(first, second)
                yield from (neighbours.at(t / (after - before)) for t in range(1, after - before))
        yield self.frames[-1] / np.float32(255.0)

    def _interpolated(self, name: str) -> dict[str, Array]:
        """What `_compared` returns for one of `INTERPOLATIONS`; with motion from the cache if it was made before."""

        def make() -> dict[str, Array]:
            return self._compared(map(torch.from_numpy, self._between(INTERPOLATIONS[name])))

        if name == "linear":
            # Computing it takes little more time than reading a file of all frames.
            return make()
        frames = hashlib.sha256(np.ascontiguousarray(self.frames)).hexdigest()
        key = {"name": name, "train": self.train, "shape": self.frames.shape, "frames": frames}
        return cached_arrays(__name__, key, make)

    def _measure(self, frames: Iterable[Tensor]) -> Evaluation:
        """Compare frames (H, W, C) in [0, 1] with the clip's, one at a time, each where it is."""
        return self._evaluation(self._compared(frames))

    def _compared(self, frames: Iterable[Tensor]) -> dict[str, Array]:
        """psnr, dB, and ssim of each frame (H, W, C) in [0, 1], (T,); and the frames, uint8 (T, H, W, C)."""
        psnr, similarity = [], []
        kept = np.empty_like(self.frames)
        for t, frame in enumerate(frames):
            truth = torch.from_numpy(self.frames[t]).to(frame.device) / 255.0
            psnr.append(decibels(1.0, (frame - truth).double().square().mean().item()))
            similarity.append(ssim(truth, frame))
            kept[t] = eight_bits(frame)
        return {"psnr": np.array(psnr), "ssim": np.array(similarity), "frames": kept}

    def _evaluation(self, compared: dict[str, Array]) -> Evaluation:
        psnr, kept = compared["psnr"].tolist(), compared["frames"]
        metrics = {
            "psnr": _mean(psnr),
            "ssim": _mean(compared["ssim"].tolist()),
            "psnr_train": _mean(psnr[t] for t in self.train),
            "psnr_held_out": _mean(psnr[t] for t in self.held_out),
        }
        return Evaluation(metrics, {"frames": kept}, sheet(kept, self.held_out))


def _curve_pixels(count: int, pixels: int, seeds: SeedStreams) -> Tensor:
    """Pixels of each frame that the curve looks at, counted through all frames, (T, n)."""
    first = torch.arange(count).unsqueeze(1) * pixels
    if count * pixels <= CURVE_PIXELS:
        return first + torch.arange(pixels)
    shape = (count, -(-CURVE_PIXELS // count))
    return first + torch.randint(pixels, shape, generator=seeds.generator("curve"))


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed) if listed else math.nan
