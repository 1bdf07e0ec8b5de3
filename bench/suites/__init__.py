"""The benches by name: each module has SUITE."""
