"""Which elements each step sees, and in which chunks."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from inrbench_core.api.problem import Index, SeedStreams
from inrbench_core.spec.training import TrainingSpec


class Batches:
    """The batch of each step: all elements, or the next ones of an endless row of seeded permutations.

    All batches have the same size; one that lies across two permutations ends the one and begins
    the other.

    Args:
        elements: how many there are.
        training: its `batch` is "full" or a size.
        seeds: permutations are drawn from the stream "sampling".
        device: where indices go.
    """

    def __init__(self, elements: int, training: TrainingSpec, seeds: SeedStreams, device: torch.device) -> None:
        self.elements = elements
        self.size = elements if training.batch == "full" else min(training.batch, elements)
        self.device = device
        self._generator = seeds.generator("sampling")
        self._upcoming = torch.empty(0, dtype=torch.int64, device=device)

    @property
    def full(self) -> bool:
        """Every batch is all elements: taken as slices, with no gather."""
        return self.size == self.elements

    def next_chunks(self, chunk: int) -> Iterator[Index]:
        """The next batch in parts of `chunk` elements; the last may be smaller."""
        parts = [slice(start, min(start + chunk, self.size)) for start in range(0, self.size, chunk)]
        if self.full:
            yield from parts
            return
        index = self._draw()
        for part in parts:
            yield index[part]

    def next_batch(self) -> Index:
        """The next batch as a whole."""
        (index,) = self.next_chunks(self.size)
        return index

    def put_back(self, index: Index) -> None:
        """Let the next batch be one that was drawn last."""
        if isinstance(index, Tensor):
            self._upcoming = torch.cat([index, self._upcoming])

    def example(self, count: int) -> Index:
        """An index of the kind that `next_chunks` yields; one that is no slice is spread over all elements."""
        return slice(0, count) if self.full else torch.arange(count, device=self.device) * self.elements // count

    def even_chunk(self, most: int) -> int:
        """The chunk of at most `most` elements that cuts a batch into parts as equal as can be."""
        return math.ceil(self.size / math.ceil(self.size / most))

    def uniform_chunk(self, most: int) -> int:
        """As `even_chunk`, but all parts have exactly one size, and what is left over is few elements."""
        return self.size // math.ceil(self.size / most)

    def _draw(self) -> Tensor:
        while len(self._upcoming) < self.size:
            # Drawn on the CPU, so that devices agree; from pinned memory the copy does not wait for the GPU.
            pinned = self.device.type == "cuda"
            permutation = torch.randperm(self.elements, generator=self._generator, pin_memory=pinned)
            self._upcoming = torch.cat([self._upcoming, permutation.to(self.device, non_blocking=pinned)])
        index, self._upcoming = self._upcoming[: self.size], self._upcoming[self.size :]
        return index
