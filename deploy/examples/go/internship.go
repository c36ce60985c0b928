// Package praktika publishes what an enterprise's system knows of internships.
package praktika

import (
	"crypto/sha256"
	"fmt"
	"os"
)

// Event is a CloudEvent that says that an internship has been completed.
type Event struct {
	SpecVersion  string    `json:"specversion"`
	ID           string    `json:"id"`
	Source       string    `json:"source"`
	Type         string    `json:"type"`
	Subject      string    `json:"subject"`
	PartitionKey string    `json:"partitionkey"`
	Time         string    `json:"time"`
	Data         Completed `json:"data"`
}

type Completed struct {
	Enterprise   string   `json:"enterprise"`
	Programme    string   `json:"programme"`
	Hours        float64  `json:"hours"`
	Competencies []string `json:"competencies"`
	Outcome      string   `json:"outcome"`
}

// Internship makes the event of one internship. Its id follows from the enterprise's own record, so sending it again
// changes nothing, and is a digest, which names nobody; its time (RFC 3339 with offset) comes from the record and not from the clock, because it is part of
// what is said.
func Internship(enterprise, at, learner string) Event {
	record := fmt.Sprintf("%x", sha256.Sum256([]byte(enterprise+" "+learner)))[:16]
	return Event{
		SpecVersion:  "1.0",
		ID:           record + "-completed",
		Source:       "/organisations/" + enterprise,
		Type:         "praktika.internship.completed.v1",
		Subject:      enterprise + ":" + record,
		PartitionKey: learner,
		Time:         at,
		Data:         Completed{enterprise, "north-college:welding", 160.5, []string{"greencomp:3.1"}, "passed"},
	}
}

// FromArguments makes the events that the arguments TIME LEARNER... say.
func FromArguments(enterprise string) []Event {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "arguments: TIME LEARNER...  (TIME with offset: 2026-06-26T17:00:00+07:00)")
		os.Exit(2)
	}
	var events []Event
	for _, learner := range os.Args[2:] {
		events = append(events, Internship(enterprise, os.Args[1], learner))
	}
	return events
}
