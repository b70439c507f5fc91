package sellable.peers.kafkastreams;

import static org.apache.kafka.streams.state.Stores.keyValueStoreBuilder;
import static org.apache.kafka.streams.state.Stores.persistentKeyValueStore;
import static org.apache.kafka.streams.state.Stores.persistentWindowStore;
import static org.apache.kafka.streams.state.Stores.windowStoreBuilder;

import java.util.List;
import java.util.function.BiConsumer;
import java.util.function.Function;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import sellable.peers.inventory.Bytes;
import sellable.peers.inventory.Reservation;

/**
 * The state stores, all of them in RocksDB and with a changelog.
 *
 * <p>What the same few SKUs change again and again goes through the cache; identities, which never
 * come again but for duplicates, and chunks go by it.
 */
final class Stores {
    static final String SKUS = "skus";
    static final String RESERVATIONS = "reservations";
    static final String CHUNKS = "chunks";
    static final String IDENTITIES = "identities";
    static final String SEPARATOR = "|";

    private Stores() {}

    static List<StoreBuilder<?>> builders() {
        return List.of(
                store(SKUS, serde(SkuRecord::write, SkuRecord::read)).withCachingEnabled(),
                store(RESERVATIONS, serde(Reservation::write, Reservation::read))
                        .withCachingEnabled(),
                store(CHUNKS, Serdes.ByteArray()),
                windowStoreBuilder(
                        persistentWindowStore(
                                IDENTITIES, Identities.RETENTION, Identities.BUCKET, false),
                        Serdes.ByteArray(),
                        Serdes.Long()));
    }

    private static <V> StoreBuilder<KeyValueStore<String, V>> store(String name, Serde<V> value) {
        return keyValueStoreBuilder(persistentKeyValueStore(name), Serdes.String(), value);
    }

    /** Not for several threads. */
    private static <V> Serde<V> serde(BiConsumer<V, Bytes> write, Function<Bytes, V> read) {
        Bytes out = new Bytes();
        return Serdes.serdeFrom(
                (topic, state) -> {
                    if (state == null) {
                        return null;
                    }
                    out.clear();
                    write.accept(state, out);
                    return out.toArray();
                },
                (topic, data) -> data == null ? null : read.apply(new Bytes(data)));
    }
}
