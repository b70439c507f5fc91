package sellable.peers.kafkastreams;

import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.QueryableStoreTypes;
import org.apache.kafka.streams.state.ReadOnlyKeyValueStore;
import sellable.peers.inventory.Arguments;
import sellable.peers.inventory.Channels;
import sellable.peers.inventory.Progress;
import sellable.peers.inventory.StateRow;

/** Runs the topology until all movements of the input topic are done and committed. */
public final class Main {
    private static final int COMMIT_EVERY_MS = 1_000;
    private static final long STATE_CACHE_BYTES = 256L << 20;
    private static final int LINGER_MS = 100;
    private static final int BATCH_BYTES = 256 << 10;
    private static final int MOST_RECORDS_A_POLL = 5_000;
    private static final int FETCH_BYTES = 4 << 20;
    private static final int SESSION_TIMEOUT_MS = 10_000;
    private static final long ASK_EVERY_MS = 20;

    private Main() {}

    public static void main(String[] words) throws Exception {
        Arguments arguments = new Arguments(words);
        long movements = arguments.number("movements");
        Properties settings = settings(arguments);
        CountDownLatch finished = new CountDownLatch(1);
        Topology topology = topology(arguments, movements, finished);
        try (KafkaStreams streams = new KafkaStreams(topology, settings);
                Admin admin = Admin.create(settings)) {
            streams.setUncaughtExceptionHandler(error -> {
                error.printStackTrace();
                Runtime.getRuntime().halt(1);
                return StreamThreadExceptionResponse.SHUTDOWN_APPLICATION;
            });
            streams.start();
            finished.await();
            awaitCommitted(admin, arguments, movements);
            Progress.done(movements);
            dumpWhenAsked(streams, Path.of(arguments.text("dump")));
        }
    }

    private static Properties settings(Arguments arguments) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments.text("application"));
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments.text("brokers"));
        settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments.text("state"));
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, arguments.text("guarantee"));
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, COMMIT_EVERY_MS);
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, STATE_CACHE_BYTES);
        settings.put(StreamsConfig.ROCKSDB_CONFIG_SETTER_CLASS_CONFIG, RocksDb.class);
        settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), LINGER_MS);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), BATCH_BYTES);
        settings.put(
                StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG),
                arguments.text("compression"));
        settings.put(
                StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG),
                MOST_RECORDS_A_POLL);
        settings.put(
                StreamsConfig.consumerPrefix(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG),
                FETCH_BYTES);
        settings.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        settings.put(ConsumerConfig.GROUP_INSTANCE_ID_CONFIG, "inv1");
        settings.put(
                StreamsConfig.mainConsumerPrefix(ConsumerConfig.SESSION_TIMEOUT_MS_CONFIG),
                SESSION_TIMEOUT_MS);
        return settings;
    }

    private static Topology topology(
            Arguments arguments, long movements, CountDownLatch finished) {
        long tick = arguments.number("tick-us");
        String outputs = arguments.text("outputs");
        Topology topology = new Topology();
        String source = "movements";
        String work = "inventory";
        topology.addSource(
                source,
                new ByteArrayDeserializer(),
                new ByteArrayDeserializer(),
                arguments.text("input"));
        topology.addProcessor(
                work,
                () -> new InventoryProcessor(tick, new Progress(movements), finished),
                source);
        Stores.builders().forEach(store -> topology.addStateStore(store, work));
        for (int channel = 0; channel < Channels.COUNT; channel++) {
            String name = Channels.name(channel);
            addSink(topology, name, outputs + "availability." + name, work);
        }
        String deadLetters = InventoryProcessor.DEAD_LETTERS;
        addSink(topology, deadLetters, outputs + deadLetters, work);
        return topology;
    }

    private static void addSink(Topology topology, String name, String topic, String work) {
        topology.addSink(name, topic, new ByteArraySerializer(), new ByteArraySerializer(), work);
    }

    private static void awaitCommitted(Admin admin, Arguments arguments, long movements)
            throws InterruptedException, ExecutionException {
        TopicPartition partition = new TopicPartition(arguments.text("input"), 0);
        while (true) {
            Thread.sleep(ASK_EVERY_MS);
            OffsetAndMetadata committed = admin.listConsumerGroupOffsets(arguments.text("application"))
                    .partitionsToOffsetAndMetadata()
                    .get()
                    .get(partition);
            if (committed != null && committed.offset() >= movements) {
                return;
            }
        }
    }

    /** Waits for a line on standard input; writes the final state when it says so. */
    private static void dumpWhenAsked(KafkaStreams streams, Path file) throws IOException {
        if (System.in.read() != 'd') {
            return;
        }
        ReadOnlyKeyValueStore<String, SkuRecord> skus = streams.store(
                StoreQueryParameters.fromNameAndType(
                        Stores.SKUS, QueryableStoreTypes.<String, SkuRecord>keyValueStore()));
        try (BufferedWriter out = Files.newBufferedWriter(file);
                KeyValueIterator<String, SkuRecord> all = skus.all()) {
            while (all.hasNext()) {
                KeyValue<String, SkuRecord> entry = all.next();
                write(out, StateRow.of(entry.key, entry.value.state()));
                for (String location : entry.value.locations()) {
                    write(out, StateRow.of(entry.key, location, entry.value.key(location)));
                }
            }
        }
        Progress.dumped();
        streams.close(Duration.ofSeconds(30));
    }

    private static void write(BufferedWriter out, String row) throws IOException {
        out.write(row);
        out.newLine();
    }
}
