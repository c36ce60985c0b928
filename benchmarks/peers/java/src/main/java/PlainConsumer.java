import com.mongodb.ConnectionString;
import com.mongodb.MongoClientSettings;
import com.mongodb.ReadConcern;
import com.mongodb.TransactionOptions;
import com.mongodb.WriteConcern;
import com.mongodb.client.ClientSession;
import com.mongodb.client.MongoClient;
import com.mongodb.client.MongoClients;
import com.mongodb.client.MongoCollection;
import com.mongodb.client.MongoDatabase;
import com.mongodb.client.model.BulkWriteOptions;
import com.mongodb.client.model.Filters;
import com.mongodb.client.model.InsertOneModel;
import com.mongodb.client.model.ReplaceOneModel;
import com.mongodb.client.model.UpdateOneModel;
import com.mongodb.client.model.UpdateOptions;
import com.mongodb.client.model.Updates;
import com.mongodb.client.model.WriteModel;
import java.time.Duration;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.bson.Document;

/**
 * The product's design in plain Java: batches, a bounded cache of owned states, differences grouped per counter document and
 * split by partition, the position compared and set in the same majority transaction, one commit in flight.
 */
public final class PlainConsumer implements ConsumerRebalanceListener {
    private static final int BATCH = Integer.parseInt(System.getenv("BENCH_BATCH"));
    private static final int KEPT = 50_000;

    /** A learner's state that only we write. */
    private static final class Kept {
        final Learners.State state;
        boolean stored;

        Kept(Learners.State state, boolean stored) {
            this.state = state;
            this.stored = stored;
        }
    }

    private record Moved(long expected, long next) {}

    private final MongoClient client;
    private final MongoDatabase db;
    private final MongoCollection<Document> learners, counters, positions;
    private final KafkaConsumer<byte[], byte[]> consumer;
    private final ExecutorService writer = Executors.newSingleThreadExecutor();
    private final Map<TopicPartition, Long> next = new HashMap<>();
    private final LinkedHashMap<String, Kept> kept = new LinkedHashMap<>(1024, 0.75f, true);
    private Set<String> pending = Set.of(); // learners in the batch that is being written
    private Future<?> writing;
    private Map<TopicPartition, OffsetAndMetadata> written;

    private PlainConsumer() {
        client = MongoClients.create(MongoClientSettings.builder()
            .applyConnectionString(new ConnectionString(System.getenv("MONGODB_URI")))
            .writeConcern(WriteConcern.MAJORITY)
            .readConcern(ReadConcern.MAJORITY)
            .build());
        db = client.getDatabase(System.getenv("BENCH_DATABASE"));
        learners = db.getCollection("learners");
        counters = db.getCollection("counters");
        positions = db.getCollection("seen"); // a collection that is there: one document a partition
        Properties config = new Properties();
        config.put("bootstrap.servers", System.getenv("KAFKA_BOOTSTRAP_SERVERS"));
        config.put("group.id", System.getenv("BENCH_GROUP"));
        config.put("key.deserializer", ByteArrayDeserializer.class.getName());
        config.put("value.deserializer", ByteArrayDeserializer.class.getName());
        config.put("enable.auto.commit", "false");
        config.put("auto.offset.reset", "earliest");
        config.put("isolation.level", "read_committed");
        config.put("max.poll.records", String.valueOf(BATCH));
        config.put("max.partition.fetch.bytes", String.valueOf(4 * 1024 * 1024));
        config.put("fetch.max.wait.ms", "100");
        consumer = new KafkaConsumer<>(config);
    }

    public static void main(String[] arguments) throws Exception {
        PlainConsumer job = new PlainConsumer();
        Thread main = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            job.consumer.wakeup();
            try {
                main.join(10_000);
            } catch (InterruptedException error) {
                Thread.currentThread().interrupt();
            }
        }));
        job.run();
    }

    private void run() throws Exception {
        consumer.subscribe(List.of(System.getenv("BENCH_TOPIC")), this);
        try {
            while (true) {
                List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>(BATCH);
                consumer.poll(Duration.ofMillis(writing == null ? 100 : 1)).forEach(records::add);
                if (records.isEmpty()) finish();
                else take(records);
            }
        } catch (WakeupException ended) {
            finish();
        } finally {
            writer.shutdown();
            consumer.close();
            client.close();
        }
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> assigned) {
        for (TopicPartition tp : assigned) {
            positions.updateOne(
                Filters.eq("_id", tp.partition()), Updates.setOnInsert("next", 0L), new UpdateOptions().upsert(true));
            next.put(tp, positions.find(Filters.eq("_id", tp.partition())).first().getLong("next"));
            consumer.seek(tp, next.get(tp));
        }
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> revoked) {
        try {
            finish();
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
        next.clear();
        kept.clear();
    }

    private void take(List<ConsumerRecord<byte[], byte[]>> records) throws Exception {
        Map<TopicPartition, Moved> moved = new HashMap<>();
        Map<Integer, Map<String, List<Learners.Event>>> told = new HashMap<>();
        Set<String> touched = new HashSet<>();
        for (ConsumerRecord<byte[], byte[]> record : records) {
            TopicPartition tp = new TopicPartition(record.topic(), record.partition());
            if (record.offset() < next.get(tp)) continue;
            Moved before = moved.get(tp);
            moved.put(tp, new Moved(before == null ? next.get(tp) : before.expected, record.offset() + 1));
            Learners.Event event = Learners.parse(record.value());
            touched.add(event.learner());
            told.computeIfAbsent(tp.partition(), p -> new HashMap<>())
                .computeIfAbsent(event.learner(), l -> new ArrayList<>(2)).add(event);
        }
        load(touched);
        List<WriteModel<Document>> states = new ArrayList<>(), added = new ArrayList<>();
        told.forEach((partition, byLearner) -> {
            Learners.Differences differences = new Learners.Differences();
            byLearner.forEach((id, events) -> fold(id, events, differences, states));
            for (var cell : differences.changed()) added.add(increment(partition, cell.getKey(), cell.getValue()));
        });
        finish();
        written = new HashMap<>();
        moved.forEach((tp, m) -> {
            next.put(tp, m.next);
            written.put(tp, new OffsetAndMetadata(m.next));
        });
        pending = touched;
        writing = writer.submit(() -> write(moved, states, added));
        makeRoom();
    }

    /** Wait for the batch that is being written, then let its offsets go. */
    private void finish() throws Exception {
        if (writing == null) return;
        writing.get();
        writing = null;
        pending = Set.of();
        consumer.commitAsync(written, null);
    }

    private void load(Set<String> touched) {
        List<String> cold = touched.stream().filter(id -> !kept.containsKey(id)).toList();
        if (cold.isEmpty()) return;
        for (Document found : learners.find(Filters.in("_id", cold)).batchSize(10_000))
            kept.put(found.getString("_id"), new Kept(state(found), true));
        for (String id : cold) kept.computeIfAbsent(id, i -> new Kept(new Learners.State(), false));
    }

    private void makeRoom() {
        Iterator<String> oldest = kept.keySet().iterator();
        while (kept.size() > KEPT && oldest.hasNext()) if (!pending.contains(oldest.next())) oldest.remove();
    }

    private void fold(
        String id, List<Learners.Event> events, Learners.Differences differences, List<WriteModel<Document>> states) {
        Kept one = kept.get(id);
        Learners.Differences before = new Learners.Differences();
        before.add(one.state, -1);
        boolean changed = false;
        for (Learners.Event event : events) changed |= one.state.apply(event);
        if (!changed) return;
        before.cells.forEach((cell, measures) -> measures.forEach((measure, number) ->
            differences.cells.computeIfAbsent(cell, c -> new HashMap<>()).merge(measure, number, Integer::sum)));
        differences.add(one.state, 1);
        Document document = document(id, one.state);
        states.add(one.stored ? new ReplaceOneModel<>(Filters.eq("_id", id), document) : new InsertOneModel<>(document));
        one.stored = true;
    }

    private static UpdateOneModel<Document> increment(
        int partition, Learners.Differences.Cell cell, Map<String, Integer> measures) {
        Document add = new Document();
        measures.forEach((measure, number) -> add.append("measures." + measure, number));
        Document identity = new Document("programme", cell.programme()).append("month", cell.month());
        return new UpdateOneModel<>(
            Filters.eq("_id", partition + "|" + cell.programme() + "|" + cell.month()),
            new Document("$inc", add).append("$setOnInsert", identity),
            new UpdateOptions().upsert(true));
    }

    private void write(
        Map<TopicPartition, Moved> moved, List<WriteModel<Document>> states, List<WriteModel<Document>> added) {
        TransactionOptions majority = TransactionOptions.builder().writeConcern(WriteConcern.MAJORITY).build();
        BulkWriteOptions unordered = new BulkWriteOptions().ordered(false);
        try (ClientSession session = client.startSession()) {
            session.withTransaction(() -> {
                moved.forEach((tp, m) -> {
                    var place = Filters.and(Filters.eq("_id", tp.partition()), Filters.eq("next", m.expected));
                    if (positions.updateOne(session, place, Updates.set("next", m.next)).getMatchedCount() != 1)
                        throw new IllegalStateException(tp + " is another's");
                });
                if (!states.isEmpty()) learners.bulkWrite(session, states, unordered);
                if (!added.isEmpty()) counters.bulkWrite(session, added, unordered);
                return null;
            }, majority);
        }
    }

    private static Document document(String id, Learners.State state) {
        List<Document> graduations = new ArrayList<>(), jobs = new ArrayList<>();
        state.graduations.forEach((programme, g) -> graduations.add(
            age(new Document("programme", programme).append("on", g.on().toString()), g.age())));
        state.jobs.forEach((slot, job) -> {
            Document said = new Document("slot", slot).append("status", job.status());
            if (job.since() != null) said.append("since", job.since().toString());
            if (job.contract() != null) said.append("contract", job.contract());
            if (job.fullTime() != null) said.append("full_time", job.fullTime());
            if (job.related() != null) said.append("related", job.related());
            jobs.add(age(said.append("recorded", job.recorded().toString()), job.age()));
        });
        return new Document("_id", id).append("graduations", graduations).append("jobs", jobs);
    }

    private static Document age(Document document, Learners.Age age) {
        return document.append("s", age.seconds()).append("n", age.nanos()).append("id", age.id());
    }

    private static Learners.State state(Document document) {
        Learners.State state = new Learners.State();
        for (Document g : document.getList("graduations", Document.class))
            state.graduations.put(
                g.getString("programme"), new Learners.Graduation(LocalDate.parse(g.getString("on")), age(g)));
        for (Document j : document.getList("jobs", Document.class)) {
            LocalDate since = j.containsKey("since") ? LocalDate.parse(j.getString("since")) : null;
            state.jobs.put(j.getString("slot"), new Learners.Job(
                j.getString("status"), since, j.getString("contract"), j.getBoolean("full_time"),
                j.getBoolean("related"), LocalDate.parse(j.getString("recorded")), age(j)));
        }
        return state;
    }

    private static Learners.Age age(Document document) {
        return new Learners.Age(document.getLong("s"), document.getInteger("n"), document.getString("id"));
    }
}
