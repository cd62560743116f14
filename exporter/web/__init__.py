"""The HTTP side: routes, answers, and the page for people."""
