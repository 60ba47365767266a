"""The database's tables, as numbered migrations that are applied when it is opened."""

from __future__ import annotations

from sqlite_utils import Database, Migrations

migrations = Migrations("tagger")

# The view for people: one line per file, the newest scan's model, plain names. Datasette opens
# the database as it is.
LIBRARY_VIEW = """
    select files.path_text as path, predictions.genre, round(predictions.confidence, 3)
      as confidence, predictions.second_genre, round(predictions.second_confidence, 3)
      as second_confidence, files.title, files.artist, files.album, files.existing_genre,
      round(files.duration_seconds, 1) as duration_seconds, files.status, files.reason,
      predictions.model_id as model, files.scanned_at
    from files left join predictions
      on predictions.file_id = files.id and predictions.model_id = files.model_id
"""

# The same with what people look for first in front, and no genre for what failed since. The
# file's name is what the path has behind all that ends in a slash.
LIBRARY_VIEW_2 = """
    select replace(path_text, rtrim(path_text, replace(path_text, '/', '')), '') as file,
      files.title, files.artist, files.album, files.date,
      predictions.genre, round(predictions.confidence, 3) as confidence,
      predictions.second_genre, round(predictions.second_confidence, 3) as second_confidence,
      files.existing_genre, round(files.duration_seconds, 1) as duration_seconds,
      files.status, files.reason, files.path_text as path, predictions.model_id as model,
      files.scanned_at
    from files left join predictions
      on predictions.file_id = files.id and predictions.model_id = files.model_id
      and files.status = 'classified'
"""


@migrations(name="001_files")
def _files(db: Database) -> None:
    db.create_table(
        "files",
        {
            "id": int,
            "path": bytes,  # as the file system has it; path_text is for reading
            "path_text": str,
            "size": int,
            "mtime_ns": int,
            "identity": str,  # of the audio, unaffected by tags
            "duration_seconds": float,
            "container": str,
            "codec": str,
            "sample_rate_hz": int,
            "channels": int,
            "title": str,
            "artist": str,
            "album": str,
            "album_artist": str,
            "date": str,
            "existing_genre": str,
            "status": str,  # classified, skipped, failed or missing
            "reason": str,
            "model_id": str,  # the model of the last scan of this file
            "scanned_at": str,
            "scan_id": int,
        },
        pk="id",
        not_null={"path", "path_text", "size", "mtime_ns", "status", "scanned_at"},
        strict=True,
    )
    db.table("files").create_index(["path"], unique=True)
    db.table("files").create_index(["identity"])


@migrations(name="002_predictions")
def _predictions(db: Database) -> None:
    db.create_table(
        "models", {"model_id": str, "name": str, "genres": str, "card": str}, pk="model_id",
        not_null={"name", "genres"}, strict=True,
    )  # fmt: skip
    db.create_table(
        "predictions",
        {
            "file_id": int,
            "model_id": str,
            "genre": str,
            "confidence": float,
            "second_genre": str,
            "second_confidence": float,
            "probabilities": str,  # JSON {genre: probability}
            "slice_seconds": str,  # JSON list: where each slice starts
            "slice_probabilities": bytes,  # uint8 (n_slices, n_genres), in 255ths
            "embedding": bytes,  # float16
        },
        pk=("file_id", "model_id"),
        foreign_keys=[("file_id", "files", "id"), ("model_id", "models", "model_id")],
        not_null={"genre", "confidence", "probabilities"},
        strict=True,
    )
    db.create_view("library", LIBRARY_VIEW)


@migrations(name="003_scans")
def _scans(db: Database) -> None:
    counts = ("found", "classified", "unchanged", "moved", "skipped", "failed")
    db.create_table(
        "scans",
        {
            "id": int,
            "started_at": str,
            "finished_at": str,  # null while it runs, and for ever if it was killed
            "paths": str,  # JSON list
            "model_id": str,
            **dict.fromkeys(counts, int),
            "seconds": float,
            "reasons": str,  # JSON {reason: files} of those skipped or failed
        },
        pk="id",
        not_null={"started_at", "paths", "model_id"},
        strict=True,
    )


@migrations(name="010_tag_writes")
def _tag_writes(db: Database) -> None:
    db.create_table(
        "tag_runs",
        {
            "id": int,
            "started_at": str,
            "finished_at": str,  # null while it runs, and for ever if it was killed
            "token": str,  # in the names of its temporary copies
            "options": str,  # JSON
        },
        pk="id",
        not_null={"started_at", "token", "options"},
        strict=True,
    )
    db.create_table(
        "tag_writes",
        {
            "id": int,
            "run_id": int,
            "file_id": int,
            "path": bytes,
            "path_text": str,
            "container": str,
            "state": str,  # see library/journal.py
            "reason": str,
            "temp": bytes,  # where its temporary copy lay
            "old_genres": str,  # JSON lists, as people read them
            "new_genres": str,
            "old_raw": str,  # JSON: the old fields exactly
            "back": bytes,  # what rebuilds the old file from the new one
            "old_size": int,
            "old_mtime_ns": int,
            "new_size": int,
            "new_mtime_ns": int,
        },
        pk="id",
        foreign_keys=[("run_id", "tag_runs", "id")],
        not_null={"run_id", "file_id", "path", "path_text", "container", "state"},
        strict=True,
    )
    db.table("tag_writes").create_index(["run_id"])
    db.table("tag_writes").create_index(["state"])


@migrations(name="020_scanning")
def _scanning(db: Database) -> None:
    files, scans = db.table("files"), db.table("scans")
    files.add_column("device", int)  # the file system that its folder lay on
    files.add_column("worker_deaths", int, not_null_default=0)  # in its last try
    files.create_index(["size"])  # to guess which file was moved
    scans.add_column("not_audio", int)  # files met that don't look like audio
    scans.add_column("missing", int)  # files marked as gone


@migrations(name="030_library_view")
def _library_view(db: Database) -> None:
    db.create_view("library", LIBRARY_VIEW_2, replace=True)
