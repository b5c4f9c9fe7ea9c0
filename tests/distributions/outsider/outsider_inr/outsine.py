import torch

from inrbench_core import Activation


class Outsine(Activation):
    def __init__(self, spec, *, position="hidden"):
        super().__init__(spec, position=position)
        self.omega = spec.omega

    def forward(self, x):
        return torch.cos(self.omega * x)
