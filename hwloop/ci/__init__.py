"""A checked-in plan of models, devices and budgets, held up in continuous integration."""
