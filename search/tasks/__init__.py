"""Tasks: data, loss and metric of what networks are trained for."""
