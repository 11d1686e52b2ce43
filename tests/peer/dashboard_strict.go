// SPDX-License-Identifier: Apache-2.0

// Reads a dashboard by the types that Grafana publishes for its own (Apache-2.0), strictly: a field that is unknown, missing or of
// another type is an error, in panels, options and queries as well. usage: dashboard_strict FILE; prints a line for each panel.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func check(err error) {
	// Of a dashboard that is in order the kit returns an error without text.
	if err != nil && err.Error() != "" {
		fmt.Println(err)
		os.Exit(1)
	}
}

func main() {
	plugins.RegisterDefaultPlugins()
	text, err := os.ReadFile(os.Args[1])
	check(err)
	check(new(dashboard.Dashboard).UnmarshalJSONStrict(text))
	// The strict reader judges panels, but keeps none of them.
	board := dashboard.Dashboard{}
	check(json.Unmarshal(text, &board))
	check(board.Validate())
	for _, one := range board.Panels {
		if one.Panel != nil {
			fmt.Println(one.Panel.Type, len(one.Panel.Targets))
		}
	}
}
