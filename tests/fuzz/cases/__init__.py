"""What is fuzzed: a class for each reader. `tests.fuzz.table` lists them."""
