"""Prints the rules of deploy/prometheus/rules as a manifest for the Prometheus operator. `make manifests`
writes it to monitoring/prometheusrule.yaml."""

from pathlib import Path

import yaml

RULES = Path(__file__).parent.parent / "prometheus" / "rules"
NAME = "redis-exporter"


def manifest() -> str:
    groups = [
        group for file in sorted(RULES.glob("*.yml")) for group in yaml.safe_load(file.read_text())["groups"]
    ]
    rule = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": NAME, "labels": {"app.kubernetes.io/name": NAME}},
        "spec": {"groups": groups},
    }
    head = "# Made by `make manifests` from ../../prometheus/rules.\n"
    return head + yaml.safe_dump(rule, sort_keys=False, width=1000, allow_unicode=True)


if __name__ == "__main__":
    print(manifest(), end="")
