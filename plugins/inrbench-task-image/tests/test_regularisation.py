"""Total variation as a term of the loss, against numpy and finite differences."""

import math

import numpy as np
import pytest
import torch
from inrbench_task_image.base import PictureProblem
from inrbench_task_image.pictures import Picture
from inrbench_task_image.regularisation import covering, forward_neighbours, total_variation
from inrbench_task_image.spec import RegularisedSpec, TotalVariation
from pydantic import ValidationError
from torch import nn

from inrbench_core import SeedStreams

RNG = np.random.default_rng(0)


class Measured(PictureProblem):
    """A picture, a number of whose mixtures are measured: as many elements as asked for."""

    def __init__(self, picture, elements, weight):
        super().__init__(
            Picture(picture, {}),
            device=torch.device("cpu"),
            seeds=SeedStreams(0),
            regulariser=TotalVariation(name="tv", weight=weight) if weight else None,
        )
        self.elements = elements
        self.points_per_element = 1 + self.penalty_points

    def batch(self, index):
        return self.regulariser_batch(index)

    def loss(self, model, batch):
        return torch.zeros(len(batch["penalty_shares"])) + self.penalty(model, batch)

    def classical(self, name):
        raise NotImplementedError


class Lookup(nn.Module):
    """A field with the values of a picture at its pixels."""

    def __init__(self, picture):
        super().__init__()
        self.values = nn.Parameter(torch.from_numpy(picture) * 2 - 1)
        self.size = torch.tensor(picture.shape[:2])

    def forward(self, coords):
        row, column = ((coords + 1) / 2 * (self.size - 1)).round().long().unbind(1)
        return self.values[row, column]


def variation_by_definition(picture):
    total = 0.0
    height, width, channels = picture.shape
    for row in range(height):
        for column in range(width):
            for channel in range(channels):
                here = picture[row, column, channel]
                down = picture[row + 1, column, channel] - here if row + 1 < height else 0.0
                right = picture[row, column + 1, channel] - here if column + 1 < width else 0.0
                total += math.hypot(down, right)
    return total / picture.size


@pytest.mark.parametrize("elements", [7, 24, 35, 40, 70, 71, 200])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_mean_penalty_is_the_total_variation_of_the_whole_picture(elements, channels):
    picture = RNG.random((5, 7, channels)).astype(np.float32)
    task = Measured(picture, elements, 0.3)
    mean = task.loss(Lookup(picture), task.batch(slice(0, elements))).mean().item()
    assert mean == pytest.approx(0.3 * variation_by_definition(picture), rel=1e-5)


@pytest.mark.parametrize(("elements", "pixels"), [(7, 35), (35, 35), (50, 35), (140, 35), (1000, 4096), (3000, 4096)])
def test_every_pixel_counts_the_same(elements, pixels):
    pixel, shares = covering(torch.arange(elements), elements, pixels)
    counted = torch.zeros(pixels).index_add(0, pixel.flatten(), shares.flatten())
    torch.testing.assert_close(counted, torch.full((pixels,), elements / pixels))
    assert pixel.shape[1] == math.ceil(pixels / elements)


def test_with_as_many_elements_as_pixels_each_takes_its_own():
    pixel, shares = covering(torch.arange(12), 12, 12)
    assert torch.equal(pixel, torch.arange(12)[:, None])
    assert torch.equal(shares, torch.ones(12, 1))


def test_at_the_last_row_and_column_a_pixel_is_its_own_neighbour():
    expected = [[0, 3, 1], [1, 4, 2], [2, 5, 2], [3, 3, 4], [4, 4, 5], [5, 5, 5]]
    assert forward_neighbours(torch.arange(6), 2, 3).tolist() == expected


def test_gradient_by_finite_differences():
    values = torch.from_numpy(RNG.random((4, 3, 2))).requires_grad_()
    assert torch.autograd.gradcheck(total_variation, values)


def test_where_a_picture_is_flat_the_gradient_is_zero():
    values = torch.full((1, 3, 1), 0.5, requires_grad=True)
    total_variation(values).sum().backward()
    assert torch.equal(values.grad, torch.zeros(1, 3, 1))


@pytest.mark.parametrize(("elements", "points"), [(35, 4), (40, 4), (17, 10), (7, 16)])
def test_three_points_are_added_for_each_pixel_of_an_element(elements, points):
    picture = np.zeros((5, 7, 1), np.float32)
    task = Measured(picture, elements, 1.0)
    assert task.points_per_element == points
    assert task.batch(slice(0, 4))["penalty_coords"].shape == (4, (points - 1) // 3, 3, 2)
    assert Measured(picture, elements, None).points_per_element == 1


def test_without_a_regulariser_nothing_is_added():
    task = Measured(np.zeros((5, 7, 1), np.float32), 35, None)
    assert task.regulariser_batch(slice(0, 9)) == {}
    assert task.penalty(nn.Identity(), {}) == 0.0


def test_options():
    spec = RegularisedSpec(regulariser={"name": "tv", "weight": 1e-3})
    assert spec.model_dump() == {"regulariser": {"name": "tv", "weight": 1e-3}}
    assert RegularisedSpec().regulariser is None
    for bad in ({"name": "tv"}, {"name": "tv", "weight": 0}, {"name": "l2", "weight": 1}, {"name": "tv", "rate": 1}):
        with pytest.raises(ValidationError):
            RegularisedSpec(regulariser=bad)
