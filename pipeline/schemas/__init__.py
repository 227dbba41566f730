"""The wire: what comes in, what goes out, what is refused. No meaning, no state, no clock."""
