"""Fixtures that several tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


def shared(name: str) -> Path:
    """Return a path of the shared real data, or skip the test that needs it, by name."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"needs the shared data: {name}")
    return path


@pytest.fixture
def corpus() -> Path:
    return shared("corpus")
