"""The pictures that scikit-image's wheel holds. Imports neither torch nor scikit-image."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from inrbench_core import DataError

CC0 = "CC0"
PUBLIC_DOMAIN = "public domain"


@dataclass(frozen=True)
class Sample:
    """A picture of known content.

    Args:
        file: its name in skimage/data.
        sha256: of the file: figures are only comparable on the same pixels.
        licence: how it may be used, and whose it is.
    """

    file: str
    sha256: str
    licence: str


SAMPLES = {
    "astronaut": Sample(
        "astronaut.png",
        "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
        f"{PUBLIC_DOMAIN}, NASA",
    ),
    "brick": Sample(
        "brick.png", "7966caf324f6ba843118d98f7a07746d22f6a343430add0233eca5f6eaaa8fcf", f"{CC0}, cc0textures.com"
    ),
    "camera": Sample(
        "camera.png", "b0793d2adda0fa6ae899c03989482bff9a42d3d5690fc7e3648f2795d730c23a", f"{CC0}, Lav Varshney"
    ),
    "cell": Sample(
        "cell.png", "8d23a7fb81f7cc877cd09f330357fc7f595651306e84e17252f6e0a1b3f61515", f"{CC0}, Mueller et al. 2018"
    ),
    "chelsea": Sample(
        "chelsea.png",
        "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
        f"{CC0}, Stefan van der Walt",
    ),
    "clock": Sample(
        "clock_motion.png",
        "f029226b28b642e80113d86622e9b215ee067a0966feaf5e60604a1e05733955",
        f"{PUBLIC_DOMAIN}, Stefan van der Walt",
    ),
    "coffee": Sample(
        "coffee.png", "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7", f"{CC0}, Rachel Michetti"
    ),
    "coins": Sample(
        "coins.png",
        "f8d773fc9cfa6f4d8e5942dc34d0a0788fcaed2a4fefbbed0aef5398d7ef4cba",
        "no known copyright restrictions, Brooklyn Museum",
    ),
    "grass": Sample(
        "grass.png", "b6b6022426b38936c43a4ac09635cd78af074e90f42ffa8227ac8b7452d39f89", f"{CC0}, linolafett"
    ),
    "gravel": Sample(
        "gravel.png", "c48615b451bf1e606fbd72c0aa9f8cc0f068ab7111ef7d93bb9b0f2586440c12", f"{CC0}, cc0textures.com"
    ),
    "hubble_deep_field": Sample(
        "hubble_deep_field.jpg",
        "3a19c5dd8a927a9334bb1229a6d63711b1c0c767fb27e2286e7c84a3e2c2f5f4",
        f"{PUBLIC_DOMAIN}, NASA",
    ),
    "immunohistochemistry": Sample(
        "ihc.png",
        "f8dd1aa387ddd1f49d8ad13b50921b237df8e9b262606d258770687b0ef93cef",
        "no known copyright restrictions, Center for Microscopy and Molecular Imaging",
    ),
    "microaneurysms": Sample(
        "microaneurysms.png",
        "a1e1be59aa447f8ce082f7fa809997ab369a2b137cb6c4202abc647c7ccf6456",
        f"{CC0}, Andreas Maier",
    ),
    "moon": Sample(
        "moon.png", "78739619d11f7eb9c165bb5d2efd4772cee557812ec847532dbb1d92ef71f577", "not stated by scikit-image"
    ),
    "motorcycle_left": Sample(
        "motorcycle_left.png",
        "db18e9c4157617403c3537a6ba355dfeafe9a7eabb6b9b94cb33f6525dd49179",
        "not stated; Scharstein et al. 2014, Middlebury stereo benchmark",
    ),
    "page": Sample(
        "page.png", "341a6f0a61557662b02734a9b6e56ec33a915b2c41886b97509dedf2a43b47a3", "not stated by scikit-image"
    ),
    "retina": Sample(
        "retina.jpg", "38a07f36f27f095e818aea7b96d34202c05176d30253c66733f2e00379e9e0e6", f"{CC0}, Mikael Haeggstroem"
    ),
    "rocket": Sample(
        "rocket.jpg", "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c", f"{PUBLIC_DOMAIN}, SpaceX"
    ),
    "text": Sample(
        "text.png", "bd84aa3a6e3c9887850d45d606c96b2e59433fbef50338570b63c319e668e6d1", f"{PUBLIC_DOMAIN}, Wikipedia"
    ),
}


def find_sample(name: str) -> Path:
    """Where the picture lies. Raises DataError if scikit-image does not hold it (any more)."""
    found = importlib.util.find_spec("skimage")
    for folder in (found.submodule_search_locations or []) if found else []:
        path = Path(folder, "data", SAMPLES[name].file)
        if path.is_file():
            return path
    raise DataError(
        f"scikit-image is installed without its picture {name!r}: pip install --force-reinstall scikit-image"
    )
