"""Fixtures and makers of small data that several tests share."""

from __future__ import annotations

import os
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

# A pool of workers with one thread each, in tests as in use.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

SHARED = Path(__file__).resolve().parents[2] / "shared"


def shared(name: str) -> Path:
    """Return a path of the shared real data, or skip the test that needs it, by name."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"needs the shared data: {name}")
    return path


def chord(seconds: float, rate_hz: int = 22_050, pitch_hz: float = 220.0) -> np.ndarray:
    """Return float32 (n_samples,): a wavering chord with a little noise, full scale 0.5."""
    at = np.arange(round(seconds * rate_hz)) / rate_hz
    noise = np.random.default_rng(0).standard_normal(len(at)) * 0.01
    tones = sum(np.sin(2 * np.pi * pitch_hz * ratio * at) for ratio in (1.0, 1.25, 1.5))
    return (0.15 * tones * (1 + 0.3 * np.sin(2 * np.pi * 2 * at)) + noise).astype(np.float32)


def write_wav(path: Path, waveform: np.ndarray, rate_hz: int = 22_050) -> Path:
    """Write float samples (n_samples,) or (n_samples, channels) as a 16-bit WAV."""
    with wave.open(os.fspath(path), "wb") as file:
        file.setnchannels(1 if waveform.ndim == 1 else waveform.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes((waveform * 32_767).astype("<i2").tobytes())
    return path


def run_cli(*arguments: object) -> Result:
    """Run the command line in this process."""
    from tagger.cli import app

    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def run_without(modules: tuple[str, ...], *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, where some modules are not installed."""
    program = (
        "import sys\n"
        f"for name in {modules!r}: sys.modules[name] = None\n"
        "from tagger.cli import app\n"
        f"app({[str(argument) for argument in arguments]!r})\n"
    )
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )


@pytest.fixture
def corpus() -> Path:
    return shared("corpus")
