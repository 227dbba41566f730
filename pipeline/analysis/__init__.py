"""Fitting: what a shop's customers as a whole say about each of them. The only place of numpy and scipy.

Nothing here is on a record's way: it runs in processes of its own. What it finds
becomes a frozen value of `core` and reaches workers as `ModelFitted`.
"""
