"""``tagger write-tags``."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tagger.cli.options import (
    DatabaseOption,
    JsonOption,
    default_database,
    print_json,
)
from tagger.cli.stopping import stop_between_files
from tagger.cli.tag_output import (
    STOPPED_EXIT_CODE,
    confirm,
    plan_counts,
    print_plan,
    print_plan_counts,
    report_failures,
)
from tagger.cli.terminal import progress_bar
from tagger.genres import ID3V23_SEPARATOR, MIN_CONFIDENCE

if TYPE_CHECKING:
    from tagger.library.journal import Journal
    from tagger.library.store import Store
    from tagger.tags.batch import Outcome
    from tagger.tags.plan import Decision, Policy

STATUSES = {"write": "planned", "skip": "left alone", "fail": "failed"}

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


class ModeOption(StrEnum):
    """What happens to a genre that is there; ``tags.plan.Mode`` without loading it."""

    FILL = "fill"
    MERGE = "merge"
    REPLACE = "replace"


def write_tags(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="PATH", help="Only these files and folders. [default: all]"),
    ] = None,
    db: DatabaseOption = None,
    mode: Annotated[
        ModeOption,
        typer.Option(
            "--mode",
            help="fill: only files without a genre; merge: keep theirs and add ours;"
            " replace: ours instead of theirs.",
        ),
    ] = ModeOption.FILL,
    min_confidence: Annotated[
        float, typer.Option("--min-confidence", metavar="P", min=0.0, max=1.0)
    ] = MIN_CONFIDENCE,
    top: Annotated[
        int, typer.Option("--top", metavar="N", min=1, help="Up to N genres a file, if likely.")
    ] = 1,
    album: Annotated[
        bool,
        typer.Option(
            "--album",
            help="One genre for each album, by its tracks' vote; compilations excepted.",
        ),
    ] = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="GENRE", help="Write only this genre.")
    ] = None,
    excluded: Annotated[
        list[str] | None, typer.Option("--except", metavar="GENRE", help="Don't write this genre.")
    ] = None,
    names: Annotated[
        Path | None,
        typer.Option("--map", metavar="FILE.toml", help='Own names: metal = "Heavy Metal".'),
    ] = None,
    joined: Annotated[
        str | None,
        typer.Option("--joined", metavar="SEP", help="Write several genres as one text."),
    ] = None,
    id3v23_separator: Annotated[
        str,
        typer.Option(metavar="SEP", help="Joins genres in ID3v2.3, which knows no several values."),
    ] = ID3V23_SEPARATOR,
    provenance: Annotated[
        bool, typer.Option("--provenance", help="Also write TAGGER_GENRE: shares and model.")
    ] = False,
    keep_mtime: Annotated[bool, typer.Option(help="Keep each file's time of change.")] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan, change nothing.")
    ] = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write the genres that were heard into the files, and show what would change first.

    Every file is changed in a copy that is checked before it takes the file's place, and what
    was there is kept: `tagger undo` takes the run back.
    """
    from tagger.library.journal import Journal
    from tagger.library.lock import writer_lock
    from tagger.library.store import Store
    from tagger.tags.apply import recover

    options = {
        "mode": mode, "min_confidence": min_confidence, "top": top, "only": only,
        "excluded": excluded, "names": names, "joined": joined,
        "id3v23_separator": id3v23_separator, "provenance": provenance,
    }  # fmt: skip
    run = _Run(paths or [], yes=yes, dry_run=dry_run, as_json=as_json, keep_mtime=keep_mtime)
    database = db or default_database()
    with Store(database, must_exist=True) as store:
        policy, journal = _policy(store, options), Journal(store)
        album_rows = store.rows() if album else ()
        if dry_run:
            run.plan(journal, policy, album_rows)
        else:
            with writer_lock(database, "write-tags"):
                recover(journal)
                run.plan(journal, policy, album_rows)
                kept = options | {"album": album}
                run.write(journal, {key: str(value) for key, value in kept.items() if value})
    run.finish()


def _policy(store: Store, options: dict[str, Any]) -> Policy:
    """Make the library's policy of the command's options."""
    from tagger.genres import find_genres, load_names
    from tagger.tags.plan import Mode, Policy

    known, names = store.genres(), options["names"]
    return Policy(
        **options
        | {
            "mode": Mode(options["mode"]),
            "only": find_genres(options["only"] or [], known),
            "excluded": find_genres(options["excluded"] or [], known),
            "names": load_names(names, known) if names else {},
        }
    )


class _Run:
    """One call of the command: plan, show, ask, write, account."""

    def __init__(
        self, paths: list[str], *, yes: bool, dry_run: bool, as_json: bool, keep_mtime: bool
    ) -> None:
        self._paths = [os.path.abspath(path) for path in paths]  # noqa: PTH100 - odd bytes
        self._yes, self._dry_run, self._as_json = yes, dry_run, as_json
        self._keep_mtime = keep_mtime
        self._begun = time.monotonic()
        self._decisions: list[Decision] = []
        self._outcomes: list[Outcome] = []
        self._stopped = False

    def plan(self, journal: Journal, policy: Policy, album_rows: Iterable[dict[str, Any]]) -> None:
        """Plan, and show the plan; albums vote among ``album_rows``, if there are any."""
        from tagger.errors import NothingToDoError
        from tagger.tags.plan import make_plan, with_album_votes

        candidates = with_album_votes(journal.candidates(self._paths), album_rows)
        self._decisions = list(make_plan(candidates, policy))
        if not self._decisions:
            raise NothingToDoError("no scanned file there: run `tagger scan` on it first")
        if not self._as_json:
            print_plan(self._decisions)
            print_plan_counts(self._decisions)

    def write(self, journal: Journal, options: dict[str, Any]) -> None:
        """Ask, and write."""
        from tagger.tags.apply import write_all
        from tagger.tags.plan import Verdict

        wanted = [d for d in self._decisions if d.verdict is Verdict.WRITE]
        question = f"Write {len(wanted):,} files?"
        if not wanted or not confirm(question, yes=self._yes, as_json=self._as_json):
            return
        with stop_between_files() as stopped, progress_bar(len(wanted), "write") as bar:
            for outcome in write_all(
                journal, wanted, options=options, keep_mtime=self._keep_mtime, stopped=stopped
            ):
                self._outcomes.append(outcome)
                bar.update()
            self._stopped = stopped()

    def finish(self) -> None:
        """Give the account, and the exit code."""
        from tagger.tags.plan import Verdict

        planned = [(d.candidate.path, d.reason) for d in self._decisions
                   if d.verdict is Verdict.FAIL]  # fmt: skip
        failed = [(o.path, o.reason) for o in self._outcomes if o.reason]
        failures = report_failures([*planned, *failed])
        written = len(self._outcomes) - len(failed)
        seconds = time.monotonic() - self._begun
        if self._as_json:
            print_json(self._account(written, failures, seconds))
        elif self._outcomes:
            typer.echo(
                f"{written:,} written, {failures:,} failed, in {seconds:.1f} s;"
                " `tagger undo` takes it back"
            )
        if self._stopped:
            raise typer.Exit(STOPPED_EXIT_CODE)
        if failures:
            raise typer.Exit(1)

    def _account(self, written: int, failures: int, seconds: float) -> dict[str, Any]:
        return {
            "dry_run": self._dry_run,
            **plan_counts(self._decisions),
            "written": written,
            "failed": failures,
            "seconds": round(seconds, 3),
            "files": self._files(),
        }

    def _files(self) -> list[dict[str, Any]]:
        from tagger.library.store import display_path

        ended = {outcome.path: outcome for outcome in self._outcomes}
        files = []
        for decision in self._decisions:
            path = decision.candidate.path
            status, reason = STATUSES[decision.verdict], decision.reason
            if path in ended:
                reason = ended[path].reason
                status = "failed" if reason else "written"
            files.append(
                {
                    "path": display_path(path),
                    "status": status,
                    "old": list(decision.old),
                    "new": list(decision.new),
                    "confidence": decision.confidence,
                    "reason": reason,
                }
            )
        return files
