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
            "status": str,  # classified, skipped or failed
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
