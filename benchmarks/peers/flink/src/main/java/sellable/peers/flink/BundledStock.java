package sellable.peers.flink;

import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.function.BiConsumer;
import org.apache.flink.api.common.state.KeyedStateStore;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.state.StateTtlConfig;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.util.FlinkRuntimeException;
import sellable.peers.inventory.Bytes;
import sellable.peers.inventory.KeyState;
import sellable.peers.inventory.Movement;
import sellable.peers.inventory.Reservation;
import sellable.peers.inventory.SkuState;
import sellable.peers.inventory.StateRow;
import sellable.peers.inventory.Stock;

/**
 * Stock in keyed state, bundled: what changes goes to RocksDB when a checkpoint is taken.
 *
 * <p>Flink's own SQL operators bundle their input in the same way, and for the same reason: a hot
 * key is then read and written once a checkpoint and not once a movement.
 */
final class BundledStock implements Stock {
    private static final int MOST_SKUS = 50_000;
    private static final int IDENTITY_BYTES = 16;
    private static final Duration REMEMBERED = Duration.ofHours(96);
    private static final int CLEANED_AFTER = 100_000;
    private static final TypeInformation<byte[]> RAW =
            PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO;

    /** What the operator does for the stock. */
    interface Host {
        void useKey(String sku);

        void schedule(long instant, String reservation);
    }

    private final Host host;
    private final ValueState<byte[]> skus;
    private final MapState<String, byte[]> keys;
    private final MapState<String, byte[]> reservations;
    private final MapState<String, byte[]> chunks;
    private final MapState<byte[], Long> identities;
    private final Bytes out = new Bytes();
    private final Map<String, Objects> latest = new HashMap<>();

    BundledStock(KeyedStateStore store, Host host) {
        this.host = host;
        skus = store.getState(new ValueStateDescriptor<>("skus", RAW));
        keys = store.getMapState(new MapStateDescriptor<>("keys", Types.STRING, RAW));
        reservations =
                store.getMapState(new MapStateDescriptor<>("reservations", Types.STRING, RAW));
        chunks = store.getMapState(new MapStateDescriptor<>("chunks", Types.STRING, RAW));
        MapStateDescriptor<byte[], Long> remembered =
                new MapStateDescriptor<>("identities", RAW, Types.LONG);
        remembered.enableTimeToLive(StateTtlConfig.newBuilder(REMEMBERED)
                .cleanupInRocksdbCompactFilter(CLEANED_AFTER)
                .build());
        identities = store.getMapState(remembered);
    }

    /** The SKU of the current key. */
    Objects objects(String sku) {
        Objects found = latest.get(sku);
        if (found == null) {
            found = new Objects();
            byte[] stored = read(skus::value);
            found.state = stored == null ? null : SkuState.read(new Bytes(stored));
            latest.put(sku, found);
        }
        return found;
    }

    /** The hash of the content under which a movement of the current key was seen, or null. */
    Long seen(Objects objects, Objects.Identity identity) {
        Long found = objects.newIdentities.get(identity);
        return found == null ? read(() -> identities.get(raw(identity))) : found;
    }

    /** Writes everything that changed; forgets all objects when there are too many. */
    void flush() throws Exception {
        for (Map.Entry<String, Objects> entry : latest.entrySet()) {
            if (!entry.getValue().isWritten()) {
                host.useKey(entry.getKey());
                write(entry.getValue());
            }
        }
        if (latest.size() > MOST_SKUS) {
            latest.clear();
        }
    }

    private void write(Objects objects) throws Exception {
        if (objects.stateChanged) {
            skus.update(encoded(objects.state, SkuState::write));
            objects.stateChanged = false;
        }
        for (String location : objects.keysChanged) {
            keys.put(location, encoded(objects.keys.get(location), KeyState::write));
        }
        objects.keysChanged.clear();
        for (Map.Entry<String, Reservation> entry : objects.reservationsChanged.entrySet()) {
            reservations.put(entry.getKey(), encoded(entry.getValue(), Reservation::write));
        }
        objects.reservationsChanged.clear();
        if (!objects.newIdentities.isEmpty()) {
            Map<byte[], Long> fresh = new HashMap<>();
            objects.newIdentities.forEach((identity, content) -> fresh.put(raw(identity), content));
            identities.putAll(fresh);
            objects.newIdentities.clear();
        }
    }

    private <T> byte[] encoded(T state, BiConsumer<T, Bytes> write) {
        out.clear();
        write.accept(state, out);
        return out.toArray();
    }

    /** The rows of the current key in the final state. */
    void dump(String sku, Appendable file) throws Exception {
        byte[] stored = skus.value();
        if (stored == null) {
            return;
        }
        file.append(StateRow.of(sku, SkuState.read(new Bytes(stored)))).append('\n');
        for (Map.Entry<String, byte[]> entry : keys.entries()) {
            KeyState key = KeyState.read(new Bytes(entry.getValue()));
            file.append(StateRow.of(sku, entry.getKey(), key)).append('\n');
        }
    }

    @Override
    public SkuState sku(String sku) {
        return objects(sku).state;
    }

    @Override
    public void keep(String sku, SkuState state) {
        Objects objects = objects(sku);
        objects.state = state;
        objects.stateChanged = true;
    }

    @Override
    public KeyState key(String sku, String location) {
        Map<String, KeyState> known = objects(sku).keys;
        KeyState found = known.get(location);
        if (found == null) {
            byte[] stored = read(() -> keys.get(location));
            if (stored != null) {
                found = KeyState.read(new Bytes(stored));
                known.put(location, found);
            }
        }
        return found;
    }

    @Override
    public void keep(String sku, String location, KeyState state) {
        Objects objects = objects(sku);
        objects.keys.put(location, state);
        objects.keysChanged.add(location);
    }

    @Override
    public Reservation reservation(String sku, String name) {
        Reservation found = objects(sku).reservationsChanged.get(name);
        if (found != null) {
            return found;
        }
        byte[] stored = read(() -> reservations.get(name));
        return stored == null ? null : Reservation.read(new Bytes(stored));
    }

    @Override
    public void keep(String sku, String name, Reservation reservation) {
        objects(sku).reservationsChanged.put(name, reservation);
    }

    @Override
    public byte[] chunk(String sku, String location, long number) {
        return read(() -> chunks.get(chunkName(location, number)));
    }

    @Override
    public void keep(String sku, String location, long number, byte[] chunk) {
        read(() -> {
            if (chunk == null) {
                chunks.remove(chunkName(location, number));
            } else {
                chunks.put(chunkName(location, number), chunk);
            }
            return null;
        });
    }

    @Override
    public void schedule(long instant, String sku, String reservation) {
        host.schedule(instant, reservation);
    }

    /** A look into the state, whose exceptions nobody can mend here. */
    private interface Look<T> {
        T take() throws Exception;
    }

    private static <T> T read(Look<T> look) {
        try {
            return look.take();
        } catch (Exception error) {
            throw new FlinkRuntimeException(error);
        }
    }

    private static String chunkName(String location, long number) {
        return location + '|' + number;
    }

    private static byte[] raw(Objects.Identity identity) {
        byte[] raw = new byte[IDENTITY_BYTES];
        java.nio.ByteBuffer.wrap(raw).putLong(identity.high()).putLong(identity.low());
        return raw;
    }
}
