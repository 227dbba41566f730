"""The small job on several engines, fed from one topic, in one table: `python -m bench.small`."""
