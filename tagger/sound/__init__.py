"""Hearing one file: path -> waveform -> log-mel -> slices."""

# The hops that features can be made at, the default first; here so that `--help` needs no numpy.
HOP_LENGTHS = (1_024, 512)
