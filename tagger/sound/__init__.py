"""Hearing one file: path -> waveform -> log-mel -> slices."""
