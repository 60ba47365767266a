"""Where work runs: on this machine's cores or on a Dask cluster, behind one small interface."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from tagger.engines.processes import Failure

Work = TypeVar("Work", bound=tuple[Any, ...])
Result = TypeVar("Result")


class Engine(Protocol):
    """Runs a function on many inputs.

    Every input comes out once, with its result or with the reason why there is none, however many
    workers are lost meanwhile; no more inputs are taken than the workers can soon begin with.
    """

    def run(
        self,
        function: Callable[..., Result],
        work: Iterable[Work],
        on_idle: Callable[[], None] = lambda: None,
    ) -> Iterator[tuple[Work, Result | Failure]]:
        """Yield (arguments, result or failure) of each task as it ends.

        ``on_idle`` is called twice a second while nothing ends. When the caller stops early, the
        work in flight is given up.

        Raises
        ------
        EngineError
            If there is nobody to do the work.
        """
        ...


@dataclass(frozen=True)
class Preparation:
    """What a worker needs before its first task, wherever it is.

    Attributes
    ----------
    initializer : callable
        Called once in each worker process with the name of a folder that holds ``files``.
    files : dict of str to bytes
        By name; sent to each worker once, and checked by hash there.
    packages : tuple of str
        The distributions whose versions decide results: workers must have the same ones.
    """

    initializer: Callable[[str], None]
    files: dict[str, bytes] = field(repr=False)
    packages: tuple[str, ...] = ()


def cluster_engine(
    scheduler: str,
    preparation: Preparation,
    *,
    timeout_seconds: float,
    on_note: Callable[[str], None] = lambda note: None,
) -> Engine:
    """Return the engine for ``--scheduler``: ``tcp://HOST:PORT``, or ``local:N`` workers here.

    ``on_note`` hears what a person should know although the work goes on.

    Raises
    ------
    MissingExtraError
        If the ``cluster`` extra is not installed.
    OptionError
        If ``scheduler`` is neither.
    """
    from tagger.engines.dask import DaskEngine

    return DaskEngine(scheduler, preparation, timeout_seconds=timeout_seconds, on_note=on_note)
