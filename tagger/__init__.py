"""Hears the genre of every track in a music collection and writes it into the files, safely."""

__version__ = "0.1.0"
