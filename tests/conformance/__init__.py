"""Conformance vectors: inputs and exact results, as data that any other implementation can be checked against."""
