"""Changing the genre in a person's files: planned, shown, verified, journaled, undone."""
