import numpy as np
import pytest
import torch
from inrbench_optimizer_lbfgs.plugin import inrbench_optimizers
from torch import nn

from inrbench_core import Evaluation, FieldShape, Problem, SeedStreams, UnsupportedError
from inrbench_core.fit import fit
from inrbench_core.plugins.loading import load_catalog
from inrbench_core.spec.training import TrainingSpec
from inrbench_core.testing import parametrize_with_checks

(ENTRY,) = inrbench_optimizers()


def build(groups, **options):
    return ENTRY.load()(ENTRY.spec(**options), groups)


class Linear(Problem):
    """y = X w + noise: least squares."""

    def __init__(self):
        rng = np.random.default_rng(0)
        # Columns of very different sizes, over which gradient descent would take long.
        self.inputs = rng.normal(size=(200, 6)) * [1, 0.3, 0.1, 3, 1, 0.5]
        self.outputs = self.inputs @ rng.normal(size=6) + 0.1 * rng.normal(size=200)
        self.x, self.y = torch.tensor(self.inputs), torch.tensor(self.outputs)[:, None]
        self.shapes, self.elements, self.record = {"field": FieldShape(6, 1)}, 200, {}

    @property
    def optimum(self):
        return np.linalg.lstsq(self.inputs, self.outputs, rcond=None)[0]

    def batch(self, index):
        return {"x": self.x[index], "y": self.y[index]}

    def loss(self, model, batch):
        return (model(batch["x"]) - batch["y"]).square().mean(1)

    def evaluate(self, model, *, full=True):
        return Evaluation({"mse": self.loss(model, self.batch(slice(None))).mean().item()})

    def baseline(self, name):
        raise NotImplementedError

    def truth(self):
        raise NotImplementedError


def linear_field():
    torch.manual_seed(0)
    return nn.Linear(6, 1, bias=False).double()


@pytest.mark.parametrize("options", [{}, {"history": 3, "max_iter": 5}, {"line_search": "none"}])
def test_it_reaches_the_closed_form_of_least_squares(options):
    problem, field = Linear(), linear_field()
    optimizer = build([{"params": list(field.parameters()), "lr": 1.0}], **options)

    def closure():
        optimizer.zero_grad()
        loss = problem.loss(field, problem.batch(slice(None))).mean()
        loss.backward()
        return loss.detach()

    for _ in range(30):
        optimizer.step(closure)
    np.testing.assert_allclose(field.weight.detach().numpy()[0], problem.optimum, rtol=0, atol=1e-5)


def test_it_reaches_it_through_a_fit_where_adam_does_not():
    problem = Linear()
    weights = {}
    for optimizer in ("lbfgs", "adam"):
        field = linear_field()
        training = TrainingSpec.model_validate(
            {**ENTRY.training, "steps": 10, "optimizer": optimizer}, context={"catalog": load_catalog()}
        )
        result = fit(problem, field, training, seeds=SeedStreams(0))
        assert result.status == "ok"
        weights[optimizer] = field.weight.detach().numpy()[0]
    np.testing.assert_allclose(weights["lbfgs"], problem.optimum, rtol=0, atol=1e-5)
    assert np.abs(weights["adam"] - problem.optimum).max() > 0.1


def test_complex_parameters_are_optimised():
    w = nn.Parameter(torch.zeros(3, dtype=torch.complex128))
    optimizer = build([{"params": [w], "lr": 1.0}])
    target = torch.tensor([1 + 2j, -3j, 0.5])

    def closure():
        optimizer.zero_grad()
        loss = (w - target).abs().square().sum()
        loss.backward()
        return loss.detach()

    optimizer.step(closure)
    torch.testing.assert_close(w.detach(), target.to(w.dtype))


def test_groups_of_one_rate_are_merged():
    first, second = (nn.Parameter(torch.ones(2)) for _ in range(2))
    (group,) = build([{"params": [first], "lr": 0.5}, {"params": [second], "lr": 0.5}]).param_groups
    assert group["lr"] == 0.5
    assert [id(parameter) for parameter in group["params"]] == [id(first), id(second)]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"lr": 0.05}, "one learning rate for all parameters, and this model asks for 0.05, 0.5"),
        ({"lr": 0.5, "weight_decay": 0.1}, "lbfgs has no weight_decay, which this model asks for"),
    ],
)
def test_groups_that_differ_are_refused(other, message):
    first, second = (nn.Parameter(torch.ones(2)) for _ in range(2))
    with pytest.raises(UnsupportedError, match=message):
        build([{"params": [first], "lr": 0.5}, {"params": [second], **other}])


def test_options_reach_torch():
    optimizer = build([{"params": [nn.Parameter(torch.ones(2))], "lr": 0.5}], history=7, max_iter=3)
    group = optimizer.param_groups[0]
    assert (group["history_size"], group["max_iter"], group["line_search_fn"]) == (7, 3, "strong_wolfe")


@parametrize_with_checks("inrbench-optimizer-lbfgs")
def test_conformance(check):
    check()
