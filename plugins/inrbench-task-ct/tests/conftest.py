"""Fixtures that the tests of this plugin share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian


@pytest.fixture(scope="session")
def write_dicom() -> Callable[..., str]:
    """Writes a slice, or frames below each other, as a DICOM file and returns its path."""

    def write(path: Path, pixels: np.ndarray, *, slope=1.0, intercept=-1024.0, modality="CT", frames=1):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, "1.2.3"
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
        dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = CTImageStorage, "1.2.3", modality
        dataset.Rows, dataset.Columns = pixels.shape[0] // frames, pixels.shape[1]
        dataset.NumberOfFrames = frames
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
        dataset.RescaleSlope, dataset.RescaleIntercept, dataset.PixelSpacing = slope, intercept, [0.7, 0.7]
        dataset.PixelData = pixels.astype(np.uint16).tobytes()
        dataset.save_as(path, enforce_file_format=True)
        return str(path)

    return write
