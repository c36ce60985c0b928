"""Publishes completed internships to Praktika over Kafka: python publish_kafka.py TIME LEARNER..."""

import json
import os
import sys

from confluent_kafka import KafkaError, Message, Producer
from publish import completed


def main() -> int:
    if len(sys.argv) < 3:
        print("usage: publish_kafka.py TIME LEARNER...  (TIME with offset: 2026-06-26T17:00:00+07:00)", file=sys.stderr)
        return 2
    organisation = os.environ["PRAKTIKA_CLIENT_ID"]
    # Idempotent: the client sends again for up to delivery.timeout.ms, and the broker keeps one copy in order.
    producer = Producer(
        {
            "bootstrap.servers": os.environ["PRAKTIKA_KAFKA"],
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": os.environ["PRAKTIKA_KAFKA_CA"],
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": os.environ["PRAKTIKA_KAFKA_USER"],
            "sasl.password": os.environ["PRAKTIKA_KAFKA_PASSWORD"],
            "enable.idempotence": True,
            "acks": "all",
            "delivery.timeout.ms": 120_000,
        }
    )
    lost = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        if error:
            lost.append(error)
            print(f"not sent, may be repeated: {error}", file=sys.stderr)
        else:
            print(f"sent, {message.topic()}/{message.partition()}/{message.offset()}")

    for learner in sys.argv[2:]:
        producer.produce(
            os.environ["PRAKTIKA_KAFKA_TOPIC"],
            key=learner,
            value=json.dumps(completed(organisation, sys.argv[1], learner), ensure_ascii=False).encode(),
            headers={"content-type": "application/cloudevents+json"},
            on_delivery=delivered,
        )
    producer.flush()
    return int(bool(lost))


if __name__ == "__main__":
    sys.exit(main())
