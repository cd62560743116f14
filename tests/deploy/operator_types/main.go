// Reads manifests by the types of the Prometheus operator. A field that they do not have is an error.
package main

import (
	"fmt"
	"os"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"sigs.k8s.io/yaml"
)

func read(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var head struct {
		Kind string `json:"kind"`
	}
	if err := yaml.Unmarshal(text, &head); err != nil {
		return err
	}
	switch head.Kind {
	case "ServiceMonitor":
		return yaml.UnmarshalStrict(text, &monitoring.ServiceMonitor{})
	case "PodMonitor":
		return yaml.UnmarshalStrict(text, &monitoring.PodMonitor{})
	case "Probe":
		return yaml.UnmarshalStrict(text, &monitoring.Probe{})
	case "PrometheusRule":
		return yaml.UnmarshalStrict(text, &monitoring.PrometheusRule{})
	}
	return fmt.Errorf("unknown kind %q", head.Kind)
}

func main() {
	for _, file := range os.Args[1:] {
		if err := read(file); err != nil {
			fmt.Printf("%s: %v\n", file, err)
			os.Exit(1)
		}
	}
}
