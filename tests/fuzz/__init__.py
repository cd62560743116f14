"""Fuzzing: mutated inputs for everything that reads what others wrote. `make fuzz` runs it."""
