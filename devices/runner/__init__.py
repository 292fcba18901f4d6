"""What runs on a device, packed into one file: Python 3.8 or newer, standard library only."""
