"""Predictors of the user's own devices: learned from the store, and from what is measured for them.

rows.py        the measurements that may be learned from together
networks.py    what is to be predicted: networks by their kernels and candidates
recipe.py      which features are made of them
saved.py       a predictor with its card, as one JSON file
fitting.py     from rows to a predictor, and its cross-validated errors
few_shot.py    from few rows, and predictors of other devices, to a predictor
sources.py     what those predictors say
evaluating.py  predictions against measurements
totals.py      candidates of several parts
picture.py     the same as a drawing
pool.py        candidates to choose from, and which of them teach most
active.py      rounds of choosing, measuring and fitting
measuring.py   chosen candidates to a device
"""
