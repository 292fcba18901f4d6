"""Jobs that are carried to a device: what runs there in place of a session, and the files that travel.

All but `packing` goes into the archive, beside the runner, and needs nothing but Python 3.8.
"""
