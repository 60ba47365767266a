"""How many bytes of a file are fetched from object storage to hear it, and in how many requests.

    python -m benchmarks.object_storage FOLDER

puts the files of FOLDER on an S3 server on loopback (moto's) and hears them there and here.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

from tagger.library.classify import TrackResult, classify_file
from tagger.library.discover import AUDIO_SUFFIXES
from tagger.model.bundle import find_bundle, load_bundle
from tagger.model.classifier import Classifier
from tagger.sound import remote


def start_server() -> Any:
    """Start an S3 server and make it the one that s3fs asks; return it."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    os.environ["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{server.get_host_and_port()[1]}"
    os.environ["AWS_ACCESS_KEY_ID"] = os.environ["AWS_SECRET_ACCESS_KEY"] = "test"
    os.environ["AWS_DEFAULT_REGION"] = "us-east-1"
    return server


def timed(path: str, classifier: Classifier) -> tuple[TrackResult, float]:
    """Classify a file; return the result and the seconds."""
    began = time.perf_counter()
    result = classify_file(path, classifier)
    return result, time.perf_counter() - began


def main(folder: Path) -> None:
    """Print the table."""
    import fsspec

    server = start_server()
    storage = fsspec.filesystem("s3", use_listings_cache=False)
    storage.mkdir("music")
    classifier = Classifier(load_bundle(find_bundle()))
    print(
        f"{'file':32} {'length':>7} {'size':>8} {'fetched':>8} {'share':>5} requests  here  there"
    )
    total_bytes = total_fetched = 0
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in AUDIO_SUFFIXES:
            continue
        storage.put_file(str(path), f"music/{path.name}")
        url = f"s3://music/{path.name}"
        timed(str(path), classifier)  # so that both read from memory
        here, here_seconds = timed(str(path), classifier)
        there, there_seconds = timed(url, classifier)
        fetched, requests = remote.fetched(url)
        same = "" if there.probabilities == here.probabilities else "  DIFFERENT"
        size = path.stat().st_size
        total_bytes, total_fetched = total_bytes + size, total_fetched + fetched
        print(
            f"{path.name:32} {here.duration_seconds or 0:5.0f} s {size / 1e6:5.1f} MB"
            f" {fetched / 1e6:5.1f} MB {fetched / size:5.0%} {requests:8}"
            f" {here_seconds:4.2f} s {there_seconds:4.2f} s{same}"
        )
    print(f"all: {total_fetched / 1e6:.1f} of {total_bytes / 1e6:.1f} MB fetched")
    server.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
