"""Batches, chunks and their sizes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from inrbench_core.api.problem import SeedStreams
from inrbench_core.fit.batches import Batches
from inrbench_core.fit.chunks import chunk_elements, is_chunkable, measure_footprint

CPU = torch.device("cpu")


@pytest.fixture
def batches(stand_ins):
    def make(elements: int, batch: int | str, seed: int = 0) -> Batches:
        return Batches(elements, stand_ins.training(batch=batch), SeedStreams(seed), CPU)

    return make


def test_a_full_batch_is_slices(batches) -> None:
    parts = list(batches(10, "full").next_chunks(4))
    assert parts == [slice(0, 4), slice(4, 8), slice(8, 10)]
    assert list(batches(10, 25).next_chunks(10)) == [slice(0, 10)]


@pytest.mark.parametrize("size", [4, 5, 7])
def test_minibatches_cover_each_element_once_a_pass(batches, size: int) -> None:
    source = batches(20, size)
    drawn = torch.cat([torch.cat(list(source.next_chunks(3))) for _ in range(20)])
    assert len(drawn) == 20 * size
    for each_pass in drawn[: 20 * size // 20 * 20].reshape(-1, 20):
        assert sorted(each_pass.tolist()) == list(range(20))
    assert drawn[:20].tolist() != drawn[20:40].tolist()


def test_minibatches_follow_the_seed_and_not_the_chunk(batches) -> None:
    def draw(seed: int, chunk: int) -> list[int]:
        return torch.cat(list(batches(20, 10, seed).next_chunks(chunk))).tolist()

    assert draw(0, 3) == draw(0, 10)
    assert draw(0, 3) != draw(1, 3)


@pytest.mark.parametrize(("elements", "most"), [(14_746, 4_096), (65_536, 4_096), (10, 100), (7, 2), (1, 1)])
def test_chunks_are_about_equal(batches, elements: int, most: int) -> None:
    source = batches(elements, "full")
    even = [part.stop - part.start for part in source.next_chunks(source.even_chunk(most))]
    assert sum(even) == elements
    assert max(even) <= most
    assert max(even) - min(even) < len(even)
    uniform = source.uniform_chunk(most)
    sizes = [part.stop - part.start for part in source.next_chunks(uniform)]
    assert sum(sizes) == elements
    assert uniform <= most
    assert [size for size in sizes if size != uniform] in ([], [elements % uniform])
    assert elements % uniform < len(even)


def test_the_footprint_is_what_the_layers_keep(stand_ins) -> None:
    # Kept for the backward pass: the input (1), z and sin(z) of both layers (4 x 64), and the error (1).
    footprint = measure_footprint(stand_ins.make_net(width=64), stand_ins.Wave())
    assert footprint.largest == 64
    assert 4 * 64 <= footprint.total <= 6 * 64 + 4


def test_wide_intermediates_get_small_chunks(stand_ins) -> None:
    class PerEdge(nn.Module):
        """A Gaussian on each of 64 x 64 edges: 4,096 floats a point from 64 inputs."""

        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(1, 64)
            self.centres = nn.Parameter(torch.randn(64, 64))

        def forward(self, x: Tensor) -> Tensor:
            return (self.first(x).unsqueeze(1) - self.centres).square().neg().exp().sum((1, 2)).unsqueeze(1)

    problem = stand_ins.Wave()
    footprint = measure_footprint(PerEdge(), problem)
    assert footprint.largest == 64 * 64
    assert chunk_elements(footprint, problem, CPU) == 256
    wave = measure_footprint(stand_ins.make_net(width=256), problem)
    assert chunk_elements(wave, problem, CPU) == 4_096


def test_points_per_element_and_declared_floats_count(stand_ins) -> None:
    class Declares(nn.Linear):
        floats_per_point = 1_024

    class Rays(stand_ins.Wave):
        """Each element's loss takes 32 points."""

        points_per_element = 32

        def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
            points = batch["coords"].repeat_interleave(32, 0)
            return model(points).reshape(-1, 32).mean(1)

    assert measure_footprint(stand_ins.make_net(width=256), Rays()).largest == 32 * 256
    assert chunk_elements(measure_footprint(stand_ins.make_net(width=256), Rays()), Rays(), CPU) == 128
    assert measure_footprint(Declares(1, 1), stand_ins.Wave()).largest == 1_024
    assert measure_footprint(Declares(1, 1), Rays()).largest == 32 * 1_024


def test_measuring_leaves_no_trace(stand_ins) -> None:
    model = nn.Sequential(nn.Linear(1, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 1))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    generator = torch.get_rng_state()
    measure_footprint(model, stand_ins.Wave())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), generator)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_one_element_is_enough(stand_ins) -> None:
    assert measure_footprint(stand_ins.make_net(), stand_ins.Wave(elements=1)).largest >= 16


def test_models_that_couple_points_are_known() -> None:
    class Coupled(nn.Linear):
        pointwise = False

    assert is_chunkable(nn.Sequential(nn.Linear(1, 2), nn.LayerNorm(2)))
    assert not is_chunkable(nn.Sequential(nn.Linear(1, 2), nn.BatchNorm1d(2)))
    assert not is_chunkable(nn.ModuleDict({"a": nn.Sequential(Coupled(1, 2))}))
