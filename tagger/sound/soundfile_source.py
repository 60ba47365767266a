"""Hearing a file through soundfile (libsndfile), which opens a few that FFmpeg can't."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import numpy as np

from tagger.errors import AudioError
from tagger.sound.features import FloatArray
from tagger.sound.remote import open_bytes
from tagger.sound.sources import UNKNOWN, AudioInfo

BLOCK_SAMPLES = 65_536


class SoundFileSource:
    """An audio file opened with soundfile; see ``sources.Source``."""

    def __init__(self, path: str) -> None:
        import soundfile

        self._error = soundfile.SoundFileError
        try:
            # A file object, since libsndfile can't open every name.
            self._raw = open_bytes(path)
        except OSError as error:
            raise AudioError(f"can't be read: {error.strerror or error}") from error
        try:
            self._file = soundfile.SoundFile(self._raw)
            if not self._file.samplerate or not self._file.channels:
                raise ValueError("a header without a rate")
        except (self._error, TypeError, ValueError) as error:
            self._raw.close()
            raise AudioError(UNKNOWN) from error
        self.info = AudioInfo(
            container=self._file.format.lower(),
            codec=self._file.subtype.lower(),
            sample_rate_hz=self._file.samplerate,
            channels=self._file.channels,
            duration_seconds=self._file.frames / self._file.samplerate,
            tags={key: text for key, text in self._file.copy_metadata().items() if text},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()
        self._raw.close()

    def measure_seconds(self) -> float:
        """Return the duration that can be decoded, by decoding it in bounded pieces."""
        frames = 0
        try:
            self._file.seek(0)
            for block in self._file.blocks(blocksize=BLOCK_SAMPLES, dtype="float32"):
                frames += len(block)
        except self._error:
            pass  # what was read until here is what there is
        return frames / self.info.sample_rate_hz

    def read(self, start: int, stop: int) -> tuple[int, FloatArray]:
        """Decode samples ``start <= n < stop``; see ``sources.Source``."""
        parts: list[FloatArray] = []
        try:
            self._file.seek(start)
            for position in range(start, stop, BLOCK_SAMPLES):
                wanted = min(BLOCK_SAMPLES, stop - position)
                samples = self._file.read(wanted, dtype="float32", always_2d=True)
                parts.append(samples.mean(axis=1, dtype=np.float32))
                if len(samples) < wanted:
                    break
        except self._error:
            pass  # a file that ends early just ends
        return (start, np.concatenate(parts)) if parts else (stop, np.zeros(0, np.float32))
