package sellable.peers.flink;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.stream.Stream;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.ExternalizedCheckpointRetention;
import org.apache.flink.configuration.MemorySize;
import org.apache.flink.configuration.StateBackendOptions;
import org.apache.flink.configuration.StateRecoveryOptions;
import org.apache.flink.configuration.TaskManagerOptions;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.KafkaSourceBuilder;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.core.execution.SavepointFormatType;
import org.apache.flink.state.rocksdb.EmbeddedRocksDBStateBackend.PriorityQueueStateType;
import org.apache.flink.state.rocksdb.RocksDBConfigurableOptions;
import org.apache.flink.state.rocksdb.RocksDBOptions;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.DataStreamUtils;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.TopicPartition;
import sellable.peers.inventory.Arguments;
import sellable.peers.inventory.Progress;

/** Runs the job until all movements of the input topic are done and the last checkpoint is taken. */
public final class Main {
    private static final Duration CHECKPOINT_EVERY = Duration.ofSeconds(5);
    private static final String MANAGED_MEMORY = "256m";
    private static final String NETWORK_MEMORY = "16m";
    private static final int LINGER_MS = 100;
    private static final int BATCH_BYTES = 256 << 10;
    private static final int FETCH_BYTES = 4 << 20;
    private static final int MOST_RECORDS_A_POLL = 5_000;
    private static final long ASK_EVERY_MS = 100;

    private Main() {}

    public static void main(String[] words) throws Exception {
        Arguments arguments = new Arguments(words);
        Path checkpoints = Path.of(arguments.text("state")).toAbsolutePath();
        Optional<Path> restored = newestCheckpoint(checkpoints);
        Configuration settings = settings(checkpoints);
        restored.ifPresent(path ->
                settings.set(StateRecoveryOptions.SAVEPOINT_PATH, path.toUri().toString()));
        StreamExecutionEnvironment environment =
                StreamExecutionEnvironment.createLocalEnvironment(1, settings);
        environment.getConfig().enableObjectReuse();
        build(environment, arguments, restored.isEmpty());
        JobClient job = environment.executeAsync("INV-1");
        if (restored.isPresent()) {
            awaitCommitted(arguments);
            String folder = checkpoints.resolve("drained").toUri().toString();
            job.stopWithSavepoint(true, folder, SavepointFormatType.NATIVE).get();
        }
        job.getJobExecutionResult().get();
        Progress.done(arguments.number("movements"));
        System.in.read();
        Progress.dumped(); // the state was written when the input ended
    }

    private static Configuration settings(Path checkpoints) {
        Configuration settings = new Configuration();
        settings.set(StateBackendOptions.STATE_BACKEND, "rocksdb");
        settings.set(RocksDBOptions.TIMER_SERVICE_FACTORY, PriorityQueueStateType.HEAP);
        settings.set(RocksDBConfigurableOptions.USE_BLOOM_FILTER, true);
        settings.set(CheckpointingOptions.INCREMENTAL_CHECKPOINTS, true);
        settings.set(CheckpointingOptions.CHECKPOINTING_INTERVAL, CHECKPOINT_EVERY);
        settings.set(CheckpointingOptions.CHECKPOINTS_DIRECTORY, checkpoints.toUri().toString());
        settings.set(
                CheckpointingOptions.EXTERNALIZED_CHECKPOINT_RETENTION,
                ExternalizedCheckpointRetention.RETAIN_ON_CANCELLATION);
        settings.set(TaskManagerOptions.MANAGED_MEMORY_SIZE, MemorySize.parse(MANAGED_MEMORY));
        settings.set(TaskManagerOptions.NETWORK_MEMORY_MIN, MemorySize.parse(NETWORK_MEMORY));
        settings.set(TaskManagerOptions.NETWORK_MEMORY_MAX, MemorySize.parse(NETWORK_MEMORY));
        return settings;
    }

    /** The last whole checkpoint of a run that was killed. */
    private static Optional<Path> newestCheckpoint(Path folder) throws IOException {
        if (!Files.isDirectory(folder)) {
            return Optional.empty();
        }
        try (Stream<Path> all = Files.walk(folder)) {
            return all.filter(path -> path.endsWith("_metadata"))
                    .max(Comparator.comparingLong(path -> path.toFile().lastModified()))
                    .map(Path::getParent);
        }
    }

    /** Waits until a checkpoint holds all movements. */
    private static void awaitCommitted(Arguments arguments) throws Exception {
        long movements = arguments.number("movements");
        TopicPartition partition = new TopicPartition(arguments.text("input"), 0);
        Map<String, Object> settings =
                Map.of(AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, arguments.text("brokers"));
        try (Admin admin = Admin.create(settings)) {
            OffsetAndMetadata committed = null;
            while (committed == null || committed.offset() < movements) {
                Thread.sleep(ASK_EVERY_MS);
                committed = admin.listConsumerGroupOffsets(arguments.text("application"))
                        .partitionsToOffsetAndMetadata()
                        .get()
                        .get(partition);
            }
        }
    }

    /**
     * Builds the job. A bounded source ends the job by itself, but not one that was restored and has
     * no new partition: the connector then never tells its reader that there are no more splits.
     */
    private static void build(
            StreamExecutionEnvironment environment, Arguments arguments, boolean bounded) {
        KafkaSourceBuilder<Line> builder = KafkaSource.<Line>builder()
                .setBootstrapServers(arguments.text("brokers"))
                .setTopics(arguments.text("input"))
                .setGroupId(arguments.text("application"))
                .setStartingOffsets(OffsetsInitializer.earliest())
                .setDeserializer(new LineReader())
                .setProperty(
                        ConsumerConfig.MAX_POLL_RECORDS_CONFIG, String.valueOf(MOST_RECORDS_A_POLL))
                .setProperty(
                        ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG, String.valueOf(FETCH_BYTES));
        KafkaSource<Line> source = bounded
                ? builder.setBounded(OffsetsInitializer.latest()).build()
                : builder.build();
        DataStream<Arrival> arrivals = environment
                .fromSource(source, WatermarkStrategy.noWatermarks(), "movements")
                .uid("movements")
                .transform("clock", TypeInformation.of(Arrival.class), new ClockOperator())
                .uid("clock");
        // The topic's only partition holds all SKUs, so that no shuffle is needed to key by them.
        DataStreamUtils.reinterpretAsKeyedStream(arrivals, Arrival::key, Types.STRING)
                .transform(
                        "inventory",
                        TypeInformation.of(Told.class),
                        new InventoryOperator(
                                arguments.number("tick-us"),
                                arguments.number("movements"),
                                arguments.text("dump")))
                .uid("inventory")
                .sinkTo(sink(arguments))
                .uid("channels");
    }

    private static KafkaSink<Told> sink(Arguments arguments) {
        Properties producer = new Properties();
        producer.put(ProducerConfig.LINGER_MS_CONFIG, LINGER_MS);
        producer.put(ProducerConfig.BATCH_SIZE_CONFIG, BATCH_BYTES);
        producer.put(ProducerConfig.COMPRESSION_TYPE_CONFIG, arguments.text("compression"));
        producer.put(ProducerConfig.ACKS_CONFIG, "all");
        return KafkaSink.<Told>builder()
                .setBootstrapServers(arguments.text("brokers"))
                .setDeliveryGuarantee(DeliveryGuarantee.AT_LEAST_ONCE)
                .setKafkaProducerConfig(producer)
                .setRecordSerializer(new TopicOf(arguments.text("outputs")))
                .build();
    }
}
