"""What ships for tests: fakes, real servers on loopback, conformance suites, records with plain defaults."""
