"""Tokens that mean the same in every vocabulary of a translator, and the label of a place that teaches nothing."""

PAD, START, END = 0, 1, 2
IGNORED = -100  # torch's own mark: such a place counts neither in a loss nor in a metric
