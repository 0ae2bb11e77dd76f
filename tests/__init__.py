"""The tests of Holdfast, a package so that tests and benchmarks can share `tests.servers`."""
