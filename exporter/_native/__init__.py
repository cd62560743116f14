"""The rooms of the compiled engine, in Cython."""
