"""Which Dask scheduler works: one that is there already, or one of our own for a while."""

from __future__ import annotations

import contextlib
import logging
import re
import warnings
from collections.abc import Iterator

from tagger.errors import OptionError


def parse_scheduler(scheduler: str) -> tuple[str, int]:
    """Return (address, 0), or ("", number of workers) of ``local:N``.

    Raises
    ------
    OptionError
        If it is neither.
    """
    if found := re.fullmatch(r"local:(\d+)", scheduler):
        if int(found[1]) > 0:
            return "", int(found[1])
    elif re.fullmatch(r"((tcp|tls|ws|wss|ucx)://)?[^/\s:]+:\d+|\w+://\[[^\]]+\]:\d+", scheduler):
        return scheduler, 0
    raise OptionError(
        f"{scheduler!r} is no scheduler: give its address such as tcp://HOST:8786,"
        " or local:N for N workers on this machine"
    )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep Dask's own reports of what we handle off the terminal."""
    loggers = [logging.getLogger(name) for name in ("distributed", "tornado", "asyncio")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def running(address: str, local_workers: int) -> Iterator[str]:
    """Yield a scheduler's address, starting one with workers for ``local:N``."""
    if not local_workers:
        yield address
        return
    import distributed

    with distributed.LocalCluster(
        n_workers=local_workers,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address=None,
        silence_logs=logging.CRITICAL,
        memory_limit=0,  # the processes that do the work have a limit of their own
    ) as cluster:
        yield cluster.scheduler_address
