// Publishes completed internships over HTTP: go run ./cmd/http TIME LEARNER...
package main

import (
	"cmp"
	"fmt"
	"log"
	"os"

	"praktika.example"
)

func main() {
	log.SetFlags(0)
	organisation := os.Getenv("PRAKTIKA_CLIENT_ID")
	events := praktika.FromArguments(organisation)
	client := praktika.Client{
		URL: os.Getenv("PRAKTIKA_URL"), ID: organisation, Secret: os.Getenv("PRAKTIKA_CLIENT_SECRET"),
	}
	answers, err := client.Publish(events)
	if err != nil {
		log.Fatal(err)
	}
	refused := false
	for _, answer := range answers {
		problem := answer.Problem
		if problem == nil {
			fmt.Printf("%s: accepted, %s\n", answer.ID, answer.Event)
			continue
		}
		refused = true
		fmt.Printf("%s: refused, %d %s\n", answer.ID, answer.Status, cmp.Or(problem.Detail, problem.Title))
		for _, wrong := range problem.Errors {
			fmt.Printf("  %s: %s\n", wrong.Field, wrong.Detail)
		}
	}
	if refused {
		os.Exit(1)
	}
}
