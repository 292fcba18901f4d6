"""Latency predictors: few measurements in, latencies with honest intervals out.

features.py    what is known of a model before it is measured: named numbers, and its kernels
graph_features.py, candidate_features.py: such numbers from kernels, and from the choices of a space
base.py        the two seams: `Estimator` (one method of learning) and `LatencyModel` (what the rest of hwloop uses)
polynomial.py  linear and quadratic, ridge, on relative errors or on logarithms
gaussian_process.py, boosting.py, kernel_sum.py: the other estimators
trimming.py    rows of runs that were taken while the device was slow
ensemble.py    the default: estimators weighted by cross-validation, trimmed, with conformal intervals
transfer.py    a new device from other devices' latencies and a handful of its own
choosing.py    which rows to measure next
metrics.py     how good predictions are
saving.py      models as NPZ files with a schema version
"""
