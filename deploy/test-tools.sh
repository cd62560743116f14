#!/usr/bin/env bash
# Gets what `make test-deploy` needs beside Debian's packages for `make test`: Docker, and in .tools/bin the newest
# Prometheus (Debian's has no discovery for Kubernetes and Consul) and helm, both built from their source.
set -euo pipefail
cd "$(dirname "$0")/.."
PROMETHEUS=v0.316.0
HELM=v3.22.0
missing=()
for pair in dockerd:docker.io docker-compose:docker-compose mmdebstrap:mmdebstrap; do
  command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "not installed: ${missing[*]} (apt-get install ${missing[*]})" >&2
    exit 1
  fi
  echo "installing with apt-get, for the tests: ${missing[*]}" >&2
  apt-get update -qq >/dev/null
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
command -v go >/dev/null || { echo "go is missing: install Go 1.25 or newer" >&2; exit 1; }
export GOBIN="$PWD/.tools/bin"
build() { # name, what to say, arguments of go install
  local stamp=".tools/$1-${*: -1}"
  stamp="${stamp//[@\/]/_}"
  stamp=".tools/${stamp#.tools_}"
  [ -e "$stamp" ] && [ -x "$GOBIN/$1" ] && return
  echo "building $1: the first time this takes minutes" >&2
  mkdir -p .tools
  go install "${@:2}"
  touch "$stamp"
}
build prometheus -tags remove_all_sd,enable_kubernetes_sd,enable_consul_sd,enable_dns_sd "github.com/prometheus/prometheus/cmd/prometheus@$PROMETHEUS"
build promtool -tags remove_all_sd,enable_kubernetes_sd,enable_consul_sd,enable_dns_sd "github.com/prometheus/prometheus/cmd/promtool@$PROMETHEUS"
build helm "helm.sh/helm/v3/cmd/helm@$HELM"
