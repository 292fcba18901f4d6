"""Bundles: a model with the runtime that it needs, in one archive that proves itself on the device.

`building` makes them, `checking` opens what others made, `verifying` runs them; `shipped/` is what they bring along.
"""
