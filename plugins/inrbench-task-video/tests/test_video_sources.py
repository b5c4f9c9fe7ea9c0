import importlib.util
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from inrbench_task_video import clip as clip_module
from inrbench_task_video import readers
from inrbench_task_video.clip import load_clip
from inrbench_task_video.panzoom import panzoom
from inrbench_task_video.plugin import VideoSpec
from PIL import Image
from pydantic import ValidationError

from inrbench_core import DataError

HAS_AV = importlib.util.find_spec("av") is not None
needs_av = pytest.mark.skipif(not HAS_AV, reason="the extra [video] is not installed")


def flat_frames(count: int = 5, height: int = 6, width: int = 9) -> np.ndarray:
    """RGB frames, each of one colour that gif's palette and every codec can keep."""
    frames = np.zeros((count, height, width, 3), np.uint8)
    frames[..., 0] = 40 * np.arange(count)[:, None, None]
    frames[..., 2] = 200
    return frames


def write_folder(folder: Path, frames: np.ndarray, numbers: list[int] | None = None) -> str:
    folder.mkdir(exist_ok=True)
    for number, frame in zip(numbers or range(len(frames)), frames, strict=True):
        Image.fromarray(frame).save(folder / f"frame_{number}.png")
    return str(folder)


def write_npy(path: Path, values: np.ndarray) -> str:
    np.save(path, values)
    return str(path)


def test_panzoom_is_the_same_at_every_call_and_has_natural_motion() -> None:
    clip = panzoom(0, 6, 64)
    assert clip.shape == (6, 64, 64, 3)
    assert np.array_equal(clip, panzoom(0, 6, 64))
    assert np.array_equal(clip[3:], panzoom(3, 3, 64))
    errors = ((clip[1:] / 255.0 - clip[:-1] / 255.0) ** 2).mean(axis=(1, 2, 3))
    # Real clips lie between 19 (bikes) and 31 dB (a skyline) from one frame to the next.
    assert 18.0 < -10 * np.log10(errors).mean() < 26.0


def test_panzoom_repeats_after_its_period() -> None:
    assert np.array_equal(panzoom(96, 2, 32), panzoom(0, 2, 32))


def test_a_folder_is_read_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    frames = flat_frames(12)
    write_folder(tmp_path / "clip", frames)  # frame_10 sorts before frame_2 as text
    spec = VideoSpec.model_validate({"source": "clip"}, context={"folder": str(tmp_path)})
    assert spec.source == str(tmp_path / "clip")
    assert np.array_equal(load_clip(spec).frames, frames)
    cut = load_clip(VideoSpec(source=spec.source, start=3, frames=4))
    assert np.array_equal(cut.frames, frames[3:7])


def test_gif_and_npy_are_read_back_exactly(tmp_path: Path) -> None:
    frames = flat_frames()
    pictures = [Image.fromarray(frame) for frame in frames]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=40)
    for source in (str(tmp_path / "a.gif"), write_npy(tmp_path / "a.npy", frames)):
        assert np.array_equal(load_clip(VideoSpec(source=source)).frames, frames)
        assert np.array_equal(load_clip(VideoSpec(source=source, start=1, frames=2)).frames, frames[1:3])
    cut = load_clip(VideoSpec(source=str(tmp_path / "a.gif"), start=1, frames=3))
    assert cut.times == pytest.approx((0.04, 0.12))
    assert cut.fps == pytest.approx(25.0)
    assert load_clip(VideoSpec(source=str(tmp_path / "a.npy"))).times is None


def test_a_gif_whose_frames_do_not_come_regularly_has_no_frame_rate(tmp_path: Path) -> None:
    pictures = [Image.fromarray(frame) for frame in flat_frames()]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=[40, 40, 400, 40, 40])
    assert load_clip(VideoSpec(source=str(tmp_path / "a.gif"))).fps is None


def test_frames_are_put_on_white_and_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the top of the picture is at the right of the file
    for number in range(2):
        Image.new("RGBA", (4, 2), (255, 0, 0, 51)).save(tmp_path / f"{number}.png", exif=exif)
    frames = load_clip(VideoSpec(source=str(tmp_path))).frames
    assert frames.shape == (2, 4, 2, 3)
    assert frames[0, 0, 0].tolist() == [255, 204, 204]


def test_a_clip_that_no_machine_holds_is_refused_before_it_is_made() -> None:
    with pytest.raises(DataError, match="panzoom: the frames take more than 2 GiB"):
        load_clip(VideoSpec(frames=100_000, size=512))


def test_npy_of_grey_floats_is_rounded_to_eight_bits(tmp_path: Path) -> None:
    values = np.linspace(0, 1, 3 * 4 * 5, dtype=np.float32).reshape(3, 4, 5)
    clip = load_clip(VideoSpec(source=write_npy(tmp_path / "a.npy", values)))
    assert clip.frames.shape == (3, 4, 5, 1)
    assert clip.frames[..., 0] / 255.0 == pytest.approx(values, abs=0.5 / 255 + 1e-6)


@needs_av
def test_mp4_of_odd_length_is_read_back_within_the_codec_loss(tmp_path: Path) -> None:
    import av

    frames = flat_frames(5, 32, 48)
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.bit_rate = 48, 32, 4_000_000
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    clip = load_clip(VideoSpec(source=str(tmp_path / "a.mp4"), start=1))
    assert clip.frames.shape == (4, 32, 48, 3)
    assert clip.frames.astype(int) == pytest.approx(frames[1:].astype(int), abs=12)
    assert clip.times == pytest.approx((0.04, 0.16))


@needs_av
def test_a_file_that_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(DataError, match="not a video"):
        load_clip(VideoSpec(source=str(tmp_path / "a.mp4")))


def test_shrinking_keeps_the_shape_and_averages(tmp_path: Path) -> None:
    checks = np.indices((2, 21, 45)).sum(axis=0).astype(np.uint8) % 2 * 255  # period 2: grey once shrunk
    clip = load_clip(VideoSpec(source=write_npy(tmp_path / "a.npy", checks), size=15))
    assert clip.frames.shape == (2, 7, 15, 1)
    assert clip.frames[:, 2:-2, 2:-2].astype(int) == pytest.approx(127, abs=12)
    assert clip.source_size == (21, 45)
    with pytest.raises(DataError, match="cannot be shrunk to size 46"):
        load_clip(VideoSpec(source=str(tmp_path / "a.npy"), size=46))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full((2, 3, 3), np.nan), "frame 0 has values that are NaN"),
        (np.full((2, 3, 3), 7.0), "floats must lie in 0 to 1"),
        (np.zeros((2, 3, 3), np.int64), "expected uint8"),
        (np.zeros((2, 3, 3, 4), np.uint8), "expected shape"),
        (np.zeros((1, 3, 3), np.uint8), "there are 1 frames .* task image"),
    ],
)
def test_unusable_npy_files_are_one_clear_error(tmp_path: Path, values: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_clip(VideoSpec(source=write_npy(tmp_path / "a.npy", values)))


def test_frame_folders_with_gaps_and_differing_sizes(tmp_path: Path) -> None:
    gap = write_folder(tmp_path / "gap", flat_frames(4), [1, 2, 4, 5])
    with pytest.raises(DataError, match="frame 3 is missing"):
        load_clip(VideoSpec(source=gap))
    sizes = write_folder(tmp_path / "sizes", flat_frames(2))
    Image.new("RGB", (3, 4)).save(tmp_path / "sizes" / "frame_2.png")
    with pytest.raises(DataError, match="frame 2 is 3 x 4 pixels and the first one 9 x 6 pixels"):
        load_clip(VideoSpec(source=sizes))
    with pytest.raises(DataError, match="there are 2 frames from frame 0, and 9 are needed"):
        load_clip(VideoSpec(source=write_folder(tmp_path / "few", flat_frames(2)), frames=9))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for name in ("a.gif", "a.npy"):
        (tmp_path / name).write_bytes(b"nothing of use")
        with pytest.raises(DataError, match=rf"{name}: not a (picture|npy)"):
            load_clip(VideoSpec(source=str(tmp_path / name)))
    np.savez(tmp_path / "several.npz", a=np.zeros(3))
    (tmp_path / "several.npz").rename(tmp_path / "several.npy")
    with pytest.raises(DataError, match=r"several\.npy: holds several arrays"):
        load_clip(VideoSpec(source=str(tmp_path / "several.npy")))
    (tmp_path / "clip").mkdir()
    with pytest.raises(DataError, match="holds no pictures"):
        load_clip(VideoSpec(source=str(tmp_path / "clip")))
    for number in (1, 2):
        (tmp_path / "clip" / f"{number}.png").write_text("no picture")
    with pytest.raises(DataError, match=r"1\.png: not a picture"):
        load_clip(VideoSpec(source=str(tmp_path / "clip")))


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 6\n%%EndComments\nshowpage\n"


def test_postscript_that_is_named_png_starts_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(write_folder(tmp_path / "clip", flat_frames(3)))
    (folder / "frame_1.png").write_bytes(POSTSCRIPT)
    started: list[object] = []
    monkeypatch.setattr(subprocess, "Popen", lambda *arguments, **options: started.append(arguments))
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *arguments, **options: started.append(arguments))
    with pytest.raises(DataError, match=r"frame_1\.png: not a picture"):
        load_clip(VideoSpec(source=str(folder)))
    assert started == []


def test_a_pipe_among_frames_is_refused_and_not_opened(tmp_path: Path) -> None:
    folder = Path(write_folder(tmp_path / "clip", flat_frames(3)))
    os.mkfifo(folder / "frame_3.png")
    message = r"frame_3\.png: not a regular file but a pipe, a folder or a link to nothing; remove it"
    with pytest.raises(DataError, match=message):
        load_clip(VideoSpec(source=str(folder)))
    (folder / "frame_3.png").unlink()
    (folder / "frame_3.png").mkdir()
    with pytest.raises(DataError, match=message):
        load_clip(VideoSpec(source=str(folder)))
    (folder / "frame_3.png").rmdir()
    for target in ("nothing", "frame_3.png"):
        (folder / "frame_3.png").unlink(missing_ok=True)
        (folder / "frame_3.png").symlink_to(folder / target)
        with pytest.raises(DataError, match=message):
            load_clip(VideoSpec(source=str(folder)))


def test_pictures_that_are_not_readable_are_not_left_out(tmp_path: Path) -> None:
    folder = Path(write_folder(tmp_path / "clip", flat_frames(3)))
    heic = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic"
    (folder / "frame_3.heic").write_bytes(heic)
    with pytest.raises(DataError, match=r"frame_3\.heic: HEIC and AVIF pictures are not readable"):
        load_clip(VideoSpec(source=str(folder)))
    (folder / "frame_3.heic").rename(folder / "frame_3.png")
    with pytest.raises(DataError, match=r"frame_3\.png: HEIC and AVIF pictures are not readable"):
        load_clip(VideoSpec(source=str(folder)))
    Image.effect_noise((9, 6), 50).convert("RGB").save(folder / "frame_3.png")
    whole = (folder / "frame_3.png").read_bytes()
    (folder / "frame_3.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"frame_3\.png: cannot be read"):
        load_clip(VideoSpec(source=str(folder)))


def test_large_frames_are_refused_before_they_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "clip").mkdir()
    for number in (1, 2):
        Image.new("1", (9_000, 9_000)).save(tmp_path / "clip" / f"{number}.png")
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", None)
    with pytest.raises(DataError, match=r"1\.png: 9000 x 9000 pixels: at most 64 megapixels"):
        load_clip(VideoSpec(source=str(tmp_path / "clip"), size=16))
    # A file with a hole, which takes no space on the disk.
    np.lib.format.open_memmap(tmp_path / "a.npy", "w+", np.uint8, (2, 9_000, 9_000)).flush()
    with pytest.raises(DataError, match=r"a\.npy: 9000 x 9000 pixels"):
        load_clip(VideoSpec(source=str(tmp_path / "a.npy"), size=16))


def test_a_clip_that_takes_too_much_is_refused_after_its_first_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[Path] = []
    picture = readers._picture
    monkeypatch.setattr(readers, "_picture", lambda file: decoded.append(file) or picture(file))
    monkeypatch.setattr(clip_module, "MAX_BYTES", 4 * 6 * 9 * 3)
    folder = write_folder(tmp_path / "clip", flat_frames(5))
    with pytest.raises(DataError, match="take more than 2 GiB; give fewer frames: or a smaller size:"):
        load_clip(VideoSpec(source=folder))
    assert len(decoded) == 1
    assert len(load_clip(VideoSpec(source=folder, frames=4)).frames) == 4
    assert len(load_clip(VideoSpec(source=folder, size=4)).frames) == 5


def test_what_took_long_is_read_from_disk_the_next_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INRBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("inrbench_core.api.cache.LEAST_SECONDS", 0.0)
    folder = write_folder(tmp_path / "clip", flat_frames(5))
    specs = [VideoSpec(source=folder, size=6), VideoSpec(frames=2, size=8)]
    first = [load_clip(spec) for spec in specs]

    def called_again(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(clip_module, "read_footage", called_again)
    monkeypatch.setattr(clip_module, "panzoom", called_again)
    for spec, clip in zip(specs, first, strict=True):
        again = load_clip(spec)
        assert np.array_equal(again.frames, clip.frames)
        assert (again.record, again.times, again.source_size) == (clip.record, clip.times, clip.source_size)
    Image.new("RGB", (9, 6), "white").save(Path(folder) / "frame_4.png")
    for other in (specs[0], VideoSpec(frames=2, size=9)):
        with pytest.raises(AssertionError):
            load_clip(other)


@pytest.mark.parametrize(
    ("source", "message"),
    [("panzom", "did you mean 'panzoom'"), ("no.mp4", "no such file or folder"), ("a/b", "no such file")],
)
def test_a_wrong_source_is_told_by_the_spec(source: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        VideoSpec(source=source)


def test_without_a_decoder_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.mp4").write_text("")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValidationError, match=r"pip install 'inrbench-task-video\[video\]'"):
        VideoSpec(source=str(tmp_path / "a.mp4"))


@needs_av
@pytest.mark.parametrize(("name", "shape"), [("bikes", (272, 640, 3)), ("carphone", (144, 176, 3))])
def test_samples_are_the_clips_they_stand_for(name: str, shape: tuple[int, ...]) -> None:
    try:
        spec = VideoSpec(source=name, frames=2)
    except ValidationError:
        pytest.skip("the extra [samples] is not installed")
    assert load_clip(spec).frames.shape[1:] == shape
