"""Distil MusiCNN to our log-mel at a hop of 46 ms: what ``models/musicnn-msd`` is made by.

    python -m tagger.training.distil msd_musicnn.npz FOLDER... -o models/musicnn-msd

The teacher hears bands of 16 kHz audio at a hop of 16 ms; the student hears our log-mel of the
same stretch. The student begins as the teacher with its time kernels resampled, dead channels left
out, and learns the teacher's pooled features, embedding and tags on any unlabelled music. Frozen
statistics, Adam with warm-up and cosine.

``--adopt FILE.npz`` distils nothing: it takes weights that were distilled so before.
"""

from __future__ import annotations

import argparse
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tagger.errors import AudioError, DatasetError
from tagger.library.discover import AUDIO_SUFFIXES
from tagger.model.bundle import load_start, write_start
from tagger.model.musicnn import (
    FRONT_LAYERS,
    LOG_GAIN,
    MID_LAYERS,
    N_BANDS,
    SLICE_FRAMES,
    build_musicnn,
    from_published,
    get_weights,
    prune,
)
from tagger.sound.decode import hear
from tagger.sound.features import HOP_LENGTH, N_MELS, SAMPLE_RATE_HZ, FeatureSettings, FloatArray
from tagger.sound.slices import log_mel_slices
from tagger.training.fit import require_training

Weights = dict[str, FloatArray]

TEACHER_RATE_HZ, TEACHER_N_FFT, TEACHER_HOP_LENGTH = 16_000, 512, 256
FRAME_SECONDS = HOP_LENGTH / SAMPLE_RATE_HZ  # 46 ms
TEACHER_FRAME_SECONDS = TEACHER_HOP_LENGTH / TEACHER_RATE_HZ  # 16 ms
TEACHER_FRAMES = round(SLICE_FRAMES * FRAME_SECONDS / TEACHER_FRAME_SECONDS)  # 180 in a slice
STUDENT_TAPS = (3, 3, 44, 22, 11, 3, 3, 3)  # of conv0..conv7, at 46 ms

FILE_SLICES = 30
GAIN_DB = 4.0  # standard deviation of the level that slices are shifted by
HELD_OUT_EVERY = 12  # files
BATCH_SLICES, LEARNING_RATE, EPOCHS = 32, 4e-4, 6
TEACHER_PRUNE_BELOW = 1e-6

ABOUT = {
    "about": "MSD_musicnn distilled to log-mel at 46 ms: a start for training",
    "licence": "ISC (MusiCNN, J. Pons and X. Serra: LICENSE.md); a derived work",
}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pairs:
    """The same slices as student and teacher hear them.

    Attributes
    ----------
    log_mel_db : float32 (n, 62, 128)
    bands : float32 (n, 180, 96)
    held_out : bool (n,)
        Of files that are not learned from.
    """

    log_mel_db: FloatArray
    bands: FloatArray
    held_out: np.ndarray[Any, np.dtype[np.bool_]]


def hear_folders(folders: list[Path], seed: int) -> Pairs:
    """Return slices of every audio file below the folders, each at a random level.

    Raises
    ------
    DatasetError
        If none of them can be heard.
    """
    rng = np.random.default_rng(seed)
    paths = sorted(
        path for top in folders for path in top.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES
    )
    heard: list[tuple[FloatArray, FloatArray]] = []
    held_out: list[bool] = []
    for number, index in enumerate(rng.permutation(len(paths))):
        try:
            heard.append(_hear_file(paths[index]))
        except AudioError as error:
            log.warning("left out %s: %s", paths[index], error)
        else:
            held_out += [number % HELD_OUT_EVERY == 0] * len(heard[-1][0])
    if not heard:
        raise DatasetError("no audio that could be heard in the folders")
    log_mel_db, bands = (np.concatenate(part) for part in zip(*heard, strict=True))
    gain_db = rng.normal(0.0, GAIN_DB, (len(bands), 1, 1)).astype(np.float32)
    bands = np.log10(1 + (10**bands - 1) * 10 ** (gain_db / 10))
    return Pairs(log_mel_db + gain_db, bands.astype(np.float32), np.array(held_out))


def _hear_file(path: Path) -> tuple[FloatArray, FloatArray]:
    """Return slices spread over a file: log-mel (n, 62, 128) and teacher's bands (n, 180, 96).

    Raises
    ------
    AudioError
        If nothing can be heard.
    """
    import librosa
    import soxr

    settings = FeatureSettings()
    waveforms = hear(str(path), settings, FILE_SLICES).waveforms
    resampled = soxr.resample(waveforms.T, SAMPLE_RATE_HZ, TEACHER_RATE_HZ).T
    power = librosa.feature.melspectrogram(
        y=resampled,
        sr=TEACHER_RATE_HZ,
        n_fft=TEACHER_N_FFT,
        hop_length=TEACHER_HOP_LENGTH,
        n_mels=N_BANDS,
        center=False,
    )
    bands = np.log10(1 + LOG_GAIN * power).transpose(0, 2, 1).astype(np.float32)
    # Our first frame's cell begins 23 ms into the window, the teacher's second frame's at 24 ms.
    return log_mel_slices(waveforms, settings), bands[:, 1 : 1 + TEACHER_FRAMES]


def read_teacher(path: Path) -> Weights:
    """Return MSD_musicnn's published weights by our names, dead channels left out."""
    arrays: Weights = {}
    with np.load(path, allow_pickle=False) as stored:
        for key in stored.files:
            layer, weight = key.rsplit(".", 1)
            value = stored[key]
            kind, _, number = layer.rpartition("_")
            if layer.startswith("conv2d"):
                index = int(number) if kind else 0
                value = value.squeeze(2) if weight == "kernel" and index >= FRONT_LAYERS else value
                layer = f"conv{index}"
            elif layer.startswith("batch_normalization"):
                layer = f"bn{number if number.isdigit() else 0}"
            arrays[f"{layer}.{weight}"] = value
    return prune(from_published(arrays), TEACHER_PRUNE_BELOW)


def first_student(teacher: Weights) -> Weights:
    """Return the teacher with its time kernels at our hop, hearing our log-mel."""
    student = dict(teacher)
    for index in range(FRONT_LAYERS + MID_LAYERS):
        name = f"conv{index}.kernel"
        student[name] = _resample_taps(teacher[name], STUDENT_TAPS[index])
    return student | {"bands.kernel": mel_to_bands()}


def _resample_taps(kernel: FloatArray, taps: int) -> FloatArray:
    """Return a time kernel (taps at 16 ms, ...) at 46 ms: each tap shared by its neighbours."""
    old = (np.arange(len(kernel)) - (len(kernel) - 1) // 2) * TEACHER_FRAME_SECONDS
    new = (np.arange(taps) - (taps - 1) // 2) * FRAME_SECONDS
    weight = np.maximum(0, 1 - np.abs(new[:, None] - old) / FRAME_SECONDS)
    weight /= np.maximum(weight.sum(axis=0), 1e-9)
    resampled: FloatArray = np.einsum("no,o...->n...", weight, kernel).astype(np.float32)
    return resampled


def mel_to_bands() -> FloatArray:
    """Return float32 (128, 96): dB at MusiCNN's band centres, interpolated between ours."""
    import librosa

    ours = librosa.mel_frequencies(N_MELS + 2, fmin=0, fmax=SAMPLE_RATE_HZ / 2)[1:-1]
    theirs = librosa.mel_frequencies(N_BANDS + 2, fmin=0, fmax=TEACHER_RATE_HZ / 2)[1:-1]
    return np.stack([np.interp(theirs, ours, one) for one in np.eye(N_MELS)]).astype(np.float32)


def distil(teacher: Weights, student: Weights, pairs: Pairs, epochs: int = EPOCHS) -> Weights:
    """Teach the student what the teacher makes of the pairs; return the student's new weights.

    The errors on held-out files are logged after each epoch, ``pooled`` and ``embedding`` as
    shares of their variance.
    """
    targets = build_musicnn(teacher, TEACHER_FRAMES).predict(
        pairs.bands, batch_size=BATCH_SLICES, verbose=0
    )
    network = build_musicnn(student)
    model = _statistics_frozen(network)
    learned = ~pairs.held_out
    steps = epochs * max(1, int(learned.sum()) // BATCH_SLICES)
    _compile(model, {name: values[learned].var(axis=0) for name, values in targets.items()}, steps)
    parts = [
        (pairs.log_mel_db[part], {name: values[part] for name, values in targets.items()})
        for part in (learned, pairs.held_out)
    ]
    for epoch in range(epochs + 1):
        if epoch:
            model.fit(*parts[0], batch_size=BATCH_SLICES, epochs=1, verbose=0)
        errors = model.evaluate(*parts[1], batch_size=BATCH_SLICES, verbose=0, return_dict=True)
        shown = ", ".join(f"{name} {value:.3f}" for name, value in sorted(errors.items()))
        log.info("epoch %d/%d, held-out files: %s", epoch, epochs, shown)
    return get_weights(network)


def _statistics_frozen(network: Any) -> Any:
    """Return a model that trains a network's weights while its batch norms keep their statistics.

    Keras hands ``training=True`` even to layers that were called with ``training=False``.
    """
    import keras

    class Frozen(keras.Model):  # type: ignore[misc]  # Keras has no types
        def call(self, inputs: Any, training: bool | None = None) -> Any:  # noqa: ARG002
            return network(inputs, training=False)

    inputs = keras.Input(network.input_shape[1:])
    model = Frozen()
    model.network = network
    model(inputs)
    return model


def _compile(model: Any, variance: dict[str, FloatArray], steps: int) -> None:
    """Prepare the student for learning; what maps our bands to MusiCNN's stays as it is."""
    import keras

    for name in ("bands", "bn0"):
        model.network.get_layer(name).trainable = False
    schedule = keras.optimizers.schedules.CosineDecay(
        LEARNING_RATE / 20, steps, warmup_target=LEARNING_RATE, warmup_steps=steps // 20
    )

    def share_of(variances: FloatArray) -> Any:
        known = variances > 1e-4  # a number that hardly varies would drown the rest
        weight = np.where(known, 1 / np.maximum(variances, 1e-4), 0) / max(known.mean(), 1e-9)

        def loss(expected: Any, given: Any) -> Any:
            error = keras.ops.square(expected - given) * weight.astype(np.float32)
            return keras.ops.mean(keras.ops.minimum(error, 100.0), axis=-1)

        return loss

    model.compile(
        keras.optimizers.Adam(schedule, clipnorm=5.0),
        loss={
            "pooled": share_of(variance["pooled"]),
            "embedding": share_of(variance["embedding"]),
            "tags": "binary_crossentropy",
        },
        loss_weights={"pooled": 1.0, "embedding": 1.0, "tags": 4.0},
    )


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("teacher", type=Path, nargs="?", help="msd_musicnn.npz")
    parser.add_argument("folder", type=Path, nargs="*", help="unlabelled music")
    parser.add_argument("--adopt", type=Path, help="published weights, distilled before")
    parser.add_argument("--begin", type=Path, help="a bundle so made, to go on from")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    require_training()
    if given.adopt:
        with np.load(given.adopt, allow_pickle=False) as file:
            weights = prune(from_published(dict(file)) | {"bands.kernel": mel_to_bands()})
    elif given.teacher and given.folder:
        import keras

        keras.utils.set_random_seed(given.seed)
        teacher = read_teacher(given.teacher)
        student = load_start(given.begin) if given.begin else first_student(teacher)
        weights = distil(teacher, student, hear_folders(given.folder, given.seed), given.epochs)
    else:
        parser.error("give the teacher and folders of music, or --adopt")
    write_start(given.output, weights, ABOUT)


if __name__ == "__main__":
    main()
