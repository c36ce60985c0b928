import com.mongodb.ConnectionString;
import com.mongodb.MongoClientSettings;
import com.mongodb.WriteConcern;
import com.mongodb.client.MongoClient;
import com.mongodb.client.MongoClients;
import com.mongodb.client.MongoCollection;
import com.mongodb.client.model.BulkWriteOptions;
import com.mongodb.client.model.Filters;
import com.mongodb.client.model.UpdateOneModel;
import com.mongodb.client.model.UpdateOptions;
import com.mongodb.client.model.WriteModel;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaClientSupplier;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;
import org.bson.Document;

/**
 * Kafka Streams, exactly_once_v2: learners and absolute counters in RocksDB with change logs, no repartitioning (counters are
 * kept per partition and summed on read), and the counters that changed upserted into MongoDB in bulk, with a majority,
 * before each commit of the Kafka transaction. A crash in between writes the same absolute values again.
 */
public final class StreamsPeer {
    private static final MongoClient CLIENT = MongoClients.create(MongoClientSettings.builder()
        .applyConnectionString(new ConnectionString(System.getenv("MONGODB_URI")))
        .writeConcern(WriteConcern.MAJORITY)
        .build());
    private static final MongoCollection<Document> COUNTERS =
        CLIENT.getDatabase(System.getenv("BENCH_DATABASE")).getCollection("counters");
    /** The processors of the tasks that this stream thread runs. */
    private static final ThreadLocal<Set<Count>> TASKS = ThreadLocal.withInitial(HashSet::new);

    public static void main(String[] arguments) {
        Properties config = new Properties();
        config.put("application.id", System.getenv("BENCH_GROUP"));
        config.put("bootstrap.servers", System.getenv("KAFKA_BOOTSTRAP_SERVERS"));
        config.put("state.dir", System.getenv("BENCH_STATE"));
        config.put("processing.guarantee", "exactly_once_v2");
        config.put("num.stream.threads", System.getenv().getOrDefault("STREAMS_THREADS", "2"));
        config.put("commit.interval.ms", System.getenv().getOrDefault("STREAMS_COMMIT_MS", "1000"));
        config.put("statestore.cache.max.bytes", String.valueOf(128 * 1024 * 1024));
        config.put("replication.factor", "1");
        config.put("auto.offset.reset", "earliest");
        config.put("consumer.max.poll.records", System.getenv("BENCH_BATCH"));
        config.put("consumer.max.partition.fetch.bytes", String.valueOf(4 * 1024 * 1024));
        config.put("consumer.fetch.max.wait.ms", "100");
        config.put("producer.linger.ms", "20");
        config.put("producer.batch.size", String.valueOf(256 * 1024));
        config.put("producer.compression.type", "lz4");
        KafkaStreams streams = new KafkaStreams(topology(), config, new Clients());
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            return org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler
                .StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
    }

    private static Topology topology() {
        var strings = Serdes.String();
        var bytes = Serdes.ByteArray();
        StoreBuilder<KeyValueStore<String, byte[]>> learners = Stores.keyValueStoreBuilder(
            Stores.persistentKeyValueStore("learners"), strings, bytes).withCachingEnabled();
        StoreBuilder<KeyValueStore<String, byte[]>> counters = Stores.keyValueStoreBuilder(
            Stores.persistentKeyValueStore("counters"), strings, bytes).withCachingEnabled();
        return new Topology()
            .addSource("events", strings.deserializer(), bytes.deserializer(), System.getenv("BENCH_TOPIC"))
            .addProcessor("count", Count::new, "events")
            .addStateStore(learners, "count")
            .addStateStore(counters, "count");
    }

    /** Counts one partition. */
    private static final class Count implements Processor<String, byte[], Void, Void> {
        private final Map<Learners.Differences.Cell, Map<String, Integer>> counted = new HashMap<>();
        private final Map<Learners.Differences.Cell, Set<String>> changed = new HashMap<>();
        private KeyValueStore<String, byte[]> learners, counters;
        private int partition;

        @Override
        public void init(ProcessorContext<Void, Void> context) {
            learners = context.getStateStore("learners");
            counters = context.getStateStore("counters");
            partition = context.taskId().partition();
            TASKS.get().add(this);
        }

        @Override
        public void close() {
            TASKS.get().remove(this);
        }

        @Override
        public void process(Record<String, byte[]> record) {
            Learners.Event event = Learners.parse(record.value());
            byte[] stored = learners.get(record.key());
            Learners.State state = stored == null ? new Learners.State() : Bytes.state(stored);
            Learners.Differences differences = new Learners.Differences();
            differences.add(state, -1);
            if (!state.apply(event)) return;
            differences.add(state, 1);
            learners.put(record.key(), Bytes.of(state));
            for (var cell : differences.changed()) {
                Map<String, Integer> measures = counted.computeIfAbsent(cell.getKey(), this::known);
                cell.getValue().forEach((measure, number) -> measures.merge(measure, number, Integer::sum));
                counters.put(name(cell.getKey()), Bytes.of(measures));
                changed.computeIfAbsent(cell.getKey(), c -> new HashSet<>()).addAll(cell.getValue().keySet());
            }
        }

        private Map<String, Integer> known(Learners.Differences.Cell cell) {
            byte[] stored = counters.get(name(cell));
            return stored == null ? new HashMap<>() : Bytes.measures(stored);
        }

        private static String name(Learners.Differences.Cell cell) {
            return cell.programme() + "|" + cell.month();
        }

        /** What changed of the counters, absolute. */
        void drainTo(List<WriteModel<Document>> upserts) {
            changed.forEach((cell, measures) -> {
                Document absolute = new Document();
                for (String measure : measures) absolute.append("measures." + measure, counted.get(cell).get(measure));
                Document identity = new Document("programme", cell.programme()).append("month", cell.month());
                upserts.add(new UpdateOneModel<>(
                    Filters.eq("_id", partition + "|" + name(cell)),
                    new Document("$set", absolute).append("$setOnInsert", identity),
                    new UpdateOptions().upsert(true)));
            });
            changed.clear();
        }
    }

    /** Kafka's own clients, but the producer writes to MongoDB before it commits. */
    private static final class Clients implements KafkaClientSupplier {
        @Override
        public Admin getAdmin(Map<String, Object> config) {
            return Admin.create(config);
        }

        @Override
        public Producer<byte[], byte[]> getProducer(Map<String, Object> config) {
            return new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer()) {
                @Override
                public void commitTransaction() {
                    List<WriteModel<Document>> upserts = new ArrayList<>();
                    TASKS.get().forEach(task -> task.drainTo(upserts));
                    if (!upserts.isEmpty()) COUNTERS.bulkWrite(upserts, new BulkWriteOptions().ordered(false));
                    super.commitTransaction();
                }
            };
        }

        @Override
        public Consumer<byte[], byte[]> getConsumer(Map<String, Object> config) {
            return new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        }

        @Override
        public Consumer<byte[], byte[]> getRestoreConsumer(Map<String, Object> config) {
            return getConsumer(config);
        }

        @Override
        public Consumer<byte[], byte[]> getGlobalConsumer(Map<String, Object> config) {
            return getConsumer(config);
        }
    }

    /** States and counters as RocksDB keeps them. */
    private static final class Bytes {
        static byte[] of(Learners.State state) {
            var bytes = new ByteArrayOutputStream(256);
            try (var out = new DataOutputStream(bytes)) {
                out.writeByte(state.graduations.size());
                for (var entry : state.graduations.entrySet()) {
                    out.writeUTF(entry.getKey());
                    out.writeInt((int) entry.getValue().on().toEpochDay());
                    write(out, entry.getValue().age());
                }
                out.writeByte(state.jobs.size());
                for (var entry : state.jobs.entrySet()) {
                    Learners.Job job = entry.getValue();
                    out.writeUTF(entry.getKey());
                    out.writeUTF(job.status());
                    out.writeInt(job.since() == null ? Integer.MIN_VALUE : (int) job.since().toEpochDay());
                    out.writeUTF(job.contract() == null ? "" : job.contract());
                    write(out, job.fullTime());
                    write(out, job.related());
                    out.writeInt((int) job.recorded().toEpochDay());
                    write(out, job.age());
                }
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
            return bytes.toByteArray();
        }

        static Learners.State state(byte[] stored) {
            Learners.State state = new Learners.State();
            try (var in = new DataInputStream(new ByteArrayInputStream(stored))) {
                for (int left = in.readByte(); left > 0; left--)
                    state.graduations.put(
                        in.readUTF(), new Learners.Graduation(LocalDate.ofEpochDay(in.readInt()), age(in)));
                for (int left = in.readByte(); left > 0; left--) {
                    String slot = in.readUTF(), status = in.readUTF();
                    int since = in.readInt();
                    String contract = in.readUTF();
                    Boolean fullTime = flag(in), related = flag(in);
                    LocalDate recorded = LocalDate.ofEpochDay(in.readInt());
                    state.jobs.put(slot, new Learners.Job(
                        status, since == Integer.MIN_VALUE ? null : LocalDate.ofEpochDay(since),
                        contract.isEmpty() ? null : contract, fullTime, related, recorded, age(in)));
                }
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
            return state;
        }

        static byte[] of(Map<String, Integer> measures) {
            var bytes = new ByteArrayOutputStream(512);
            try (var out = new DataOutputStream(bytes)) {
                out.writeShort(measures.size());
                for (var entry : measures.entrySet()) {
                    out.writeUTF(entry.getKey());
                    out.writeInt(entry.getValue());
                }
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
            return bytes.toByteArray();
        }

        static Map<String, Integer> measures(byte[] stored) {
            Map<String, Integer> measures = new HashMap<>();
            try (var in = new DataInputStream(new ByteArrayInputStream(stored))) {
                for (int left = in.readShort(); left > 0; left--) measures.put(in.readUTF(), in.readInt());
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
            return measures;
        }

        private static void write(DataOutputStream out, Learners.Age age) throws IOException {
            out.writeLong(age.seconds());
            out.writeInt(age.nanos());
            out.writeUTF(age.id());
        }

        private static Learners.Age age(DataInputStream in) throws IOException {
            return new Learners.Age(in.readLong(), in.readInt(), in.readUTF());
        }

        private static void write(DataOutputStream out, Boolean flag) throws IOException {
            out.writeByte(flag == null ? -1 : flag ? 1 : 0);
        }

        private static Boolean flag(DataInputStream in) throws IOException {
            byte flag = in.readByte();
            return flag < 0 ? null : flag == 1;
        }
    }
}
