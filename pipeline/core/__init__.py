"""The meaning: pure functions of what they are given. No clock, no I/O, no plumbing."""
