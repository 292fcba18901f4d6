"""A CPU compiler for Relax: what a CPU can do, graph passes, kernel rules, and their order (`pipeline`)."""
