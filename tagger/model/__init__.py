"""Slices -> genre probabilities: model bundles, inference, and the networks themselves."""
