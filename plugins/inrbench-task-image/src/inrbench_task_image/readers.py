"""Reading picture files: png, jpg, tif and what else Pillow decodes itself, with all of their bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import png
import tifffile
from PIL import Image, ImageOps, UnidentifiedImageError

from inrbench_core import DataError
from inrbench_core.api.sources import check_pixels, open_picture
from inrbench_core.api.text import one_line

Array = np.ndarray[Any, Any]

# 16-bit grey and float grey are the only ones beyond 8 bits that Pillow reads unchanged.
DEEP_GREY = ("I;16", "I;16L", "I;16B", "I", "F")


def read_picture(path: Path, longest: int | None = None) -> Array:
    """The pixels of a file, (H, W, C): C is 1, 2 (grey and alpha), 3 or 4 (colour and alpha).

    The dtype is bool, uint8, uint16, another integer or float, as in the file. Palettes and CMYK are turned into
    RGB, and photographs turned upright.

    Args:
        path: the file.
        longest: how many pixels its longer side may have; None: any number.

    Raises:
        DataError: if it is missing, no picture, broken, too large, or has several pages (of a phone's jpg the first
            counts).
    """
    try:
        with open_picture(path, longest) as image:
            pages = getattr(image, "n_frames", 1)
            # Phones write jpg files with a second picture behind the first, such as a map of depths.
            if pages > 1 and image.format != "MPO":
                raise DataError(f"{path}: {pages} pages; a picture has one")
            deep = _bits(path, image) > 8 and image.mode not in DEEP_GREY
            if not deep:
                return _from_pillow(image)
            return _read_png(path) if image.format == "PNG" else _read_tiff(path, longest)
    except DataError as error:
        # There are kinds of tif that Pillow does not know.
        if isinstance(error.__cause__, UnidentifiedImageError) and path.suffix.lower() in (".tif", ".tiff"):
            return _read_tiff(path, longest)
        raise


def _bits(path: Path, image: Image.Image) -> int:
    """Bits of a sample in the file, which Pillow's mode does not always tell."""
    if image.format == "PNG":
        with path.open("rb") as file:
            return file.read(25)[24]
    if image.format == "TIFF":
        return max(image.tag_v2.get(258, (1,)))
    return 8


def _from_pillow(image: Image.Image) -> Array:
    is_png = image.format == "PNG"
    image = ImageOps.exif_transpose(image)
    if image.mode in DEEP_GREY:
        pixels = np.asarray(image)[..., None]
        # Older versions of Pillow read 16-bit png files as wider integers.
        return pixels.astype(np.uint16) if is_png else pixels
    if image.has_transparency_data:
        image = image.convert("LA" if image.mode in ("1", "L", "LA", "La") else "RGBA")
    elif image.mode not in ("1", "L", "RGB"):
        image = image.convert("RGB")
    pixels = np.asarray(image)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _read_png(path: Path) -> Array:
    width, height, rows, info = png.Reader(filename=str(path)).asDirect()
    return np.stack([np.asarray(row, np.uint16) for row in rows]).reshape(height, width, info["planes"])


def _read_tiff(path: Path, longest: int | None) -> Array:
    try:
        with tifffile.TiffFile(path) as file:
            return _decoded(file.series[0], path, longest)
    except DataError:
        raise
    except Exception as error:
        hint = "; pip install 'inrbench-task-image[codecs]'" if "imagecodecs" in str(error) else ""
        raise DataError(f"{path}: cannot be read: {one_line(str(error)) or type(error).__name__}{hint}") from None


def _decoded(series: tifffile.TiffPageSeries, path: Path, longest: int | None) -> Array:
    sizes = dict(zip(series.axes, series.shape, strict=True))
    if series.axes not in ("YX", "YXS", "SYX"):
        raise DataError(f"{path}: has axes {series.axes}, shape {series.shape}; a picture is grey or RGB")
    check_pixels(path, sizes["Y"], sizes["X"], longest)
    if sizes.get("S", 1) > 4:
        raise DataError(f"{path}: {sizes['S']} channels; a picture has 1 to 4")
    pixels = series.asarray()
    if series.axes == "SYX":
        return np.moveaxis(pixels, 0, -1)
    return pixels if series.axes == "YXS" else pixels[..., None]
