"""Fitting: what the shop's customers as a whole say about each. The only place of numpy and scipy, in its own processes.

Nothing here is on a record's way. What it finds becomes a frozen value of `core` and reaches workers as `ModelFitted`.
"""
