"""The plumbing: Faust agents and the processors they feed. No threshold, no formula; a branch here is about delivery.

One file an agent. The six sources share one ingest processor and differ by a row in `topics`; `identify` gives ids to
newcomers; `controls` copies time and policy to every partition; `customers` steps and emits; `reputation` counts what
is said of the brand; `clock` makes time pass.
"""
