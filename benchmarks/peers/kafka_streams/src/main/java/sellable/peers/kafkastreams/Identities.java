package sellable.peers.kafkastreams;

import java.nio.ByteBuffer;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.WindowStore;
import sellable.peers.inventory.Instants;
import sellable.peers.inventory.Movement;

/**
 * Which movements were seen, in a window store.
 *
 * <p>Identities lie in the bucket of the clock at which they came. A bucket is as long as a segment
 * of the store, half of its retention, so that each has a RocksDB of its own, which is dropped whole.
 * The newest three buckets hold the identities of 72 hours at least.
 */
final class Identities {
    static final Duration RETENTION = Duration.ofHours(96);
    static final Duration BUCKET = RETENTION.dividedBy(2);

    private static final long BUCKET_MS = BUCKET.toMillis();
    private static final int BUCKETS = 3;
    private static final int IDENTITY_BYTES = 2 * Long.BYTES;

    private final WindowStore<byte[], Long> store;
    private final TreeMap<Long, IdentityFilter> filters = new TreeMap<>();

    Identities(WindowStore<byte[], Long> store) {
        this.store = store;
        Instant end = Instant.ofEpochMilli(Long.MAX_VALUE);
        try (KeyValueIterator<Windowed<byte[]>, Long> all = store.fetchAll(Instant.EPOCH, end)) {
            while (all.hasNext()) {
                KeyValue<Windowed<byte[]>, Long> entry = all.next();
                ByteBuffer raw = ByteBuffer.wrap(entry.key.key());
                filter(entry.key.window().start()).add(raw.getLong(), raw.getLong());
            }
        }
    }

    /** The hash of the content under which a movement was seen, or null. */
    Long seen(Movement m) {
        for (Map.Entry<Long, IdentityFilter> bucket : filters.descendingMap().entrySet()) {
            if (bucket.getValue().mayHold(m.identityHigh, m.identityLow)) {
                Long content = store.fetch(raw(m), bucket.getKey());
                if (content != null) {
                    return content;
                }
            }
        }
        return null;
    }

    void remember(Movement m, long clock) {
        long ms = Math.floorDiv(clock, Instants.MILLISECOND);
        long bucket = Math.max(0, ms - Math.floorMod(ms, BUCKET_MS));
        filter(bucket).add(m.identityHigh, m.identityLow);
        store.put(raw(m), m.content, bucket);
    }

    private IdentityFilter filter(long bucket) {
        IdentityFilter found = filters.get(bucket);
        if (found == null) {
            found = new IdentityFilter();
            filters.put(bucket, found);
            if (filters.size() > BUCKETS) {
                filters.pollFirstEntry();
            }
        }
        return found;
    }

    private static byte[] raw(Movement m) {
        return ByteBuffer.allocate(IDENTITY_BYTES)
                .putLong(m.identityHigh)
                .putLong(m.identityLow)
                .array();
    }
}
