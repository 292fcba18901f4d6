"""What a bundle brings along beside the runner's drivers; it runs on Python 3.8 with the standard library alone.

`verify.py` is also what the host checks bundles with.
"""
