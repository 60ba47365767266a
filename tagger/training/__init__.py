"""Building models: data sets, feature archives, splits, fitting and evaluation."""
