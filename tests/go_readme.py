"""The rights that the Go exporter's README recommends."""

#: but for a command that Redis knows since 8.8, and for the keys, which the README leaves out
GO_README: tuple[str, ...] = (
    *(
        "-@all",
        "+@connection",
        "+memory",
        "-readonly",
        "+strlen",
        "+config|get",
        "+xinfo",
        "+pfcount",
        "-quit",
    ),
    *("+zcard", "+type", "+xlen", "-readwrite", "-command", "+client", "-wait", "+scard", "+llen", "+hlen"),
    *("+get", "+eval", "+slowlog", "+cluster|info", "+cluster|slots", "+cluster|nodes", "-hello", "-echo"),
    *("+info", "+latency", "+scan", "-reset", "-auth", "-asking"),
)
