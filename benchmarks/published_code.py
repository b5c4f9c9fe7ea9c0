"""Which published code has each basis, and how to load it from the user's own checkouts; none of it is copied here.

`published_layers.py` times it. A file is loaded by itself; for what it imports only for its own training script
(torchvision, tqdm), there are stand-ins.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

from common import KAN_SIZES
from torch import Tensor, nn

# Folder of a checkout: where it comes from.
REPOSITORIES = {
    "efficient-kan": "https://github.com/Blealtan/efficient-kan",
    "fast-kan": "https://github.com/ZiyaoLi/fast-kan",
    "ChebyKAN": "https://github.com/SynodicMonth/ChebyKAN",
    "FourierKAN": "https://github.com/GistNoesis/FourierKAN",
    "Wav-KAN": "https://github.com/zavareh1/Wav-KAN",
    "X-KANeRF": "https://github.com/lif314/X-KANeRF",
    "siren": "https://github.com/vsitzmann/siren",
}
UNUSED = ("torchvision", "torchvision.transforms", "tqdm")
# Code that holds one float or several of each edge and point, or many of each basis function, is timed on so many
# points, and its time is scaled up: more would take over 4 GiB. Its tensors are still above 32 MiB, so that a point
# costs the allocator as much.
ALL, SPLINES, EDGES = 65_536, 16_384, 4_096


@dataclass(frozen=True)
class Published:
    """One published implementation of a basis.

    Args:
        file: within the folder of checkouts.
        make: from the loaded file, a network 2 -> 64 -> 64 -> 64 -> 3 with the options that are our defaults.
        most_points: that it is timed on.
    """

    file: str
    make: Callable[[ModuleType], nn.Module]
    most_points: int = ALL

    def load(self, checkouts: Path) -> nn.Module:
        """The network, with parameters as its own code draws them, in training mode."""
        path = checkouts / self.file
        spec = importlib.util.spec_from_file_location(f"published_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        with _importable(path.parent), contextlib.redirect_stdout(io.StringIO()):
            spec.loader.exec_module(module)
            return self.make(module).train()


@contextlib.contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Lets a file of that folder import its neighbours, and stand-ins of what its layers do not use."""
    missing = [name for name in UNUSED if name not in sys.modules]
    # The package's own __init__ imports data sets and what they require.
    torchmeta = ModuleType("torchmeta")
    torchmeta.__path__ = [str(folder / "torchmeta")]
    sys.modules.update({name: MagicMock() for name in missing}, torchmeta=torchmeta)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in missing:
            del sys.modules[name]


def network(name: str, **options: object) -> Callable[[ModuleType], nn.Module]:
    """A class that takes the sizes of all layers."""
    return lambda module: getattr(module, name)(list(KAN_SIZES), **options)


def layers(name: str, *options: object) -> Callable[[ModuleType], nn.Module]:
    """A class of one layer, several in a row."""
    return lambda module: nn.Sequential(
        *(getattr(module, name)(*pair, *options) for pair in itertools.pairwise(KAN_SIZES))
    )


class Siren(nn.Module):
    """The network of SIREN's own code, which takes and returns dictionaries."""

    def __init__(self, module: ModuleType) -> None:
        super().__init__()
        self.net = module.SingleBVPNet(out_features=3, hidden_features=KAN_SIZES[1], num_hidden_layers=2)

    def forward(self, coords: Tensor) -> Tensor:
        values: Tensor = self.net({"coords": coords})["model_out"]
        return values


def x_kanerf(file: str, name: str, most_points: int = ALL) -> Published:
    return Published(f"X-KANeRF/xKANeRF/xKAN/{file}.py", network(name), most_points)


def wavelet(name: str, x_name: str) -> list[Published]:
    return [Published("Wav-KAN/KAN.py", network("KAN", wavelet_type=name), EDGES), x_kanerf("wav_kan", x_name, EDGES)]


FAST_KAN = Published("fast-kan/fastkan/fastkan.py", network("FastKAN"))
PUBLISHED: dict[str, list[Published]] = {
    "bspline": [
        Published("efficient-kan/src/efficient_kan/kan.py", network("KAN"), SPLINES),
        x_kanerf("bspine_kan", "BSpline_KAN", SPLINES),
    ],
    "grbf": [FAST_KAN, x_kanerf("grbf_kan", "GRBF_KAN")],
    "rbf": [FAST_KAN, x_kanerf("rbf_kan", "RBF_KAN")],
    "fourier": [
        Published("FourierKAN/fftKAN.py", layers("NaiveFourierKANLayer", 8), EDGES),
        x_kanerf("fourier_kan", "Fourier_KAN", EDGES),
    ],
    "fcn_interpolation": [x_kanerf("fcn_kan", "FCN_InterpoKAN", EDGES)],
    "chebyshev": [
        Published("ChebyKAN/ChebyKANLayer.py", layers("ChebyKANLayer", 4)),
        Published("ChebyKAN/ChebyKANLayer_unoptimized.py", layers("ChebyKANLayer", 4)),
        x_kanerf("chebyshev_kan", "Chebyshev_KAN"),
    ],
    "chebyshev2": [x_kanerf("chebyshev2_kan", "Chebyshev2_KAN")],
    "jacobi": [x_kanerf("jacobi_kan", "Jacobi_KAN")],
    "bessel": [x_kanerf("bessel_kan", "Bessel_KAN")],
    "fibonacci": [x_kanerf("fibonacci_kan", "Fibonacci_KAN")],
    "hermite": [x_kanerf("hermite_kan", "Hermite_KAN")],
    "legendre": [x_kanerf("legendre_kan", "Legendre_kan")],
    "gegenbauer": [x_kanerf("gegenbauer_kan", "Gegenbauer_KAN")],
    "lucas": [x_kanerf("lucas_kan", "Lucas_KAN")],
    "laguerre": [x_kanerf("laguerre_kan", "Laguerre_KAN")],
    "fcn": [x_kanerf("fcn_kan", "FCN_KAN", EDGES)],
    "mexican_hat": wavelet("mexican_hat", "Mexican_Hat_KAN"),
    "morlet": wavelet("morlet", "Morlet_KAN"),
    "dog": wavelet("dog", "Dog_KAN"),
    "meyer": wavelet("meyer", "Meyer_KAN"),
    "shannon": wavelet("shannon", "Shannon_KAN"),
    "bump": [x_kanerf("wav_kan", "Bump_KAN", EDGES)],
    "siren": [Published("siren/modules.py", Siren)],
}


def missing_checkouts(checkouts: Path, names: list[str]) -> list[str]:
    """The repositories, as folder and address, that the code of these bases needs and that are not there."""
    needed = {code.file.split("/", 1)[0] for name in names for code in PUBLISHED[name]}
    return [f"{folder} ({REPOSITORIES[folder]})" for folder in sorted(needed) if not (checkouts / folder).is_dir()]
