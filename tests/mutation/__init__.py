"""Mutation testing of the plain engine's parsers: does a test notice when one place of them is wrong?"""
