"""The modules of the compiled engine, in Cython."""
