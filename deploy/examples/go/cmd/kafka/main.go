// Publishes completed internships over Kafka: go run ./cmd/kafka TIME LEARNER...
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"praktika.example"
)

func main() {
	log.SetFlags(0)
	organisation := os.Getenv("PRAKTIKA_CLIENT_ID")
	events := praktika.FromArguments(organisation)
	authority, err := os.ReadFile(os.Getenv("PRAKTIKA_KAFKA_CA"))
	if err != nil {
		log.Fatal(err)
	}
	trusted := x509.NewCertPool()
	if !trusted.AppendCertsFromPEM(authority) {
		log.Fatal("PRAKTIKA_KAFKA_CA holds no certificate")
	}
	login := scram.Auth{User: os.Getenv("PRAKTIKA_KAFKA_USER"), Pass: os.Getenv("PRAKTIKA_KAFKA_PASSWORD")}
	// Idempotent: the client sends again until the timeout, and the broker keeps one copy in order.
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(os.Getenv("PRAKTIKA_KAFKA"), ",")...),
		kgo.DialTLSConfig(&tls.Config{RootCAs: trusted}),
		kgo.SASL(login.AsSha512Mechanism()),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordDeliveryTimeout(2*time.Minute),
	)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	var records []*kgo.Record
	for _, event := range events {
		value, err := json.Marshal(event)
		if err != nil {
			log.Fatal(err)
		}
		records = append(records, &kgo.Record{
			Topic:   os.Getenv("PRAKTIKA_KAFKA_TOPIC"),
			Key:     []byte(event.PartitionKey),
			Value:   value,
			Headers: []kgo.RecordHeader{{Key: "content-type", Value: []byte("application/cloudevents+json")}},
		})
	}
	lost := false
	for _, result := range client.ProduceSync(context.Background(), records...) {
		if result.Err != nil {
			lost = true
			log.Printf("not sent, may be repeated: %v", result.Err)
			continue
		}
		fmt.Printf("sent, %s/%d/%d\n", result.Record.Topic, result.Record.Partition, result.Record.Offset)
	}
	if lost {
		os.Exit(1)
	}
}
