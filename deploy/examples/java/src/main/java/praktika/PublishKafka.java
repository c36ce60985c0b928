package praktika;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Publishes completed internships over Kafka. Arguments: TIME LEARNER... */
final class PublishKafka {
    public static void main(String[] args) throws Exception {
        String organisation = System.getenv("PRAKTIKA_CLIENT_ID");
        String login = "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"%s\" password=\"%s\";";
        // Idempotent: the client sends again for up to delivery.timeout.ms, and the broker keeps one copy in order.
        var settings = Map.<String, Object>of(
                "bootstrap.servers", System.getenv("PRAKTIKA_KAFKA"),
                "security.protocol", "SASL_SSL",
                "ssl.truststore.type", "PEM",
                "ssl.truststore.location", System.getenv("PRAKTIKA_KAFKA_CA"),
                "sasl.mechanism", "SCRAM-SHA-512",
                "sasl.jaas.config",
                login.formatted(System.getenv("PRAKTIKA_KAFKA_USER"), System.getenv("PRAKTIKA_KAFKA_PASSWORD")),
                "acks", "all",
                "enable.idempotence", true,
                "delivery.timeout.ms", 120_000);
        var contentType = new RecordHeader("content-type", "application/cloudevents+json".getBytes());
        var json = new ObjectMapper();
        var lost = new AtomicInteger();
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new ByteArraySerializer())) {
            for (var event : Internship.completed(organisation, args)) {
                var record = new ProducerRecord<>(System.getenv("PRAKTIKA_KAFKA_TOPIC"), null, event.partitionkey(),
                        json.writeValueAsBytes(event), List.of(contentType));
                producer.send(record, (at, error) -> {
                    if (error == null) {
                        System.out.printf("sent, %s/%d/%d%n", at.topic(), at.partition(), at.offset());
                    } else {
                        lost.incrementAndGet();
                        System.err.println("not sent, may be repeated: " + error);
                    }
                });
            }
        }
        System.exit(lost.get() > 0 ? 1 : 0);
    }
}
