"""Search spaces and strategies: to be built on `hwloop.measure`."""
