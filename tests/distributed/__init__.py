"""Tests of the engines on local clusters of several processes: run by ``make test-distributed``."""
