"""Envoy's Redis proxy up to 1.34: it knows commands on keys only, so there is nothing to read.

- commands, PING on its own, INFO without a word after it is no valid request, errors without a code:
  github.com/envoyproxy/envoy source/extensions/filters/network/redis_proxy/command_splitter_impl.cc,
  InstanceImpl::makeRequest
- the list of commands: https://www.envoyproxy.io/docs/envoy/v1.30.10/intro/arch_overview/other_protocols/redis
"""

from tests.server_kinds import Refusal, Status

REPLIES = {"PING": Status("PONG"), "INFO": Refusal("invalid request")}
UNKNOWN = Refusal("unsupported command '{command}'")
DOWN = "protocol"
