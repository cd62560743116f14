#!/usr/bin/env bash
# Installs the servers that the tests use from Debian, where that can be done, and says what is left out where it cannot.
set -eu
missing=()
for pair in redis-server:redis-server redis-sentinel:redis-sentinel promtool:prometheus prometheus-redis-exporter:prometheus-redis-exporter nginx:nginx-light openssl:openssl \
  prometheus-alertmanager:prometheus-alertmanager haproxy:haproxy chromium:chromium \
  systemd-analyze:systemd bwrap:bubblewrap valgrind:valgrind htpasswd:apache2-utils clang:clang man:man-db mandoc:mandoc zsh:zsh fish:fish; do
  command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "installing with apt-get, for the tests: ${missing[*]}" >&2
  # the tests start servers of their own: Debian's services are not to run
  policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy && chmod +x $policy
    trap 'rm -f $policy' EXIT
  fi
  if DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null 2>&1 ||
    { apt-get update -qq >/dev/null 2>&1 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; }; then
    exit 0
  fi
fi
echo "not installed: ${missing[*]} (apt-get install ${missing[*]}); the embedded redis-server stands in, and the tests that need them are left out, see the summary" >&2
