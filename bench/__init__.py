"""Measurements. `python -m bench` (or `make bench`) prints one table and writes its figures under bench/out.

Nothing here is a test: tests say whether, these say how fast. Ratios come from one run on one machine.
"""
