"""What other implementations say of the same data: written once, held by tests, written again by `python -m`."""
