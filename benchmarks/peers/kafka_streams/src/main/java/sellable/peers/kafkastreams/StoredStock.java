package sellable.peers.kafkastreams;

import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.kafka.streams.state.KeyValueStore;
import sellable.peers.inventory.KeyState;
import sellable.peers.inventory.Reservation;
import sellable.peers.inventory.SkuState;
import sellable.peers.inventory.Stock;

/**
 * Stock in the state stores of a task, and the records of the SKUs that were used last.
 *
 * <p>What is kept is always written to its store, too: a hot SKU need not be read and decoded again
 * for every movement, and nothing is lost when the objects are.
 */
final class StoredStock implements Stock {
    private static final int MOST_SKUS = 50_000;
    private static final float LOAD = 0.75f;

    private final KeyValueStore<String, SkuRecord> skus;
    private final KeyValueStore<String, Reservation> reservations;
    private final KeyValueStore<String, byte[]> chunks;
    private final Expiries expiries;
    private final Map<String, SkuRecord> latest = new LinkedHashMap<>(MOST_SKUS, LOAD, true) {
        private static final long serialVersionUID = 1L;

        @Override
        protected boolean removeEldestEntry(Map.Entry<String, SkuRecord> eldest) {
            return size() > MOST_SKUS;
        }
    };

    StoredStock(
            KeyValueStore<String, SkuRecord> skus,
            KeyValueStore<String, Reservation> reservations,
            KeyValueStore<String, byte[]> chunks,
            Expiries expiries) {
        this.skus = skus;
        this.reservations = reservations;
        this.chunks = chunks;
        this.expiries = expiries;
    }

    @Override
    public SkuState sku(String sku) {
        return record(sku).state();
    }

    /** The last thing that is done to a SKU for a movement: its record is written. */
    @Override
    public void keep(String sku, SkuState state) {
        SkuRecord record = record(sku);
        record.keep(state);
        skus.put(sku, record);
    }

    @Override
    public KeyState key(String sku, String location) {
        return record(sku).key(location);
    }

    @Override
    public void keep(String sku, String location, KeyState state) {
        record(sku).keep(location, state);
    }

    private SkuRecord record(String sku) {
        SkuRecord record = latest.get(sku);
        if (record == null) {
            record = skus.get(sku);
            if (record == null) {
                record = new SkuRecord();
            }
            latest.put(sku, record);
        }
        return record;
    }

    @Override
    public Reservation reservation(String sku, String name) {
        return reservations.get(reservationKey(sku, name));
    }

    @Override
    public void keep(String sku, String name, Reservation reservation) {
        reservations.put(reservationKey(sku, name), reservation);
    }

    @Override
    public byte[] chunk(String sku, String location, long number) {
        return chunks.get(chunkKey(sku, location, number));
    }

    @Override
    public void keep(String sku, String location, long number, byte[] chunk) {
        chunks.put(chunkKey(sku, location, number), chunk);
    }

    @Override
    public void schedule(long instant, String sku, String reservation) {
        expiries.add(instant, sku, reservation);
    }

    private static String reservationKey(String sku, String name) {
        return sku + Stores.SEPARATOR + name; // no SKU holds the separator
    }

    private static String chunkKey(String sku, String location, long number) {
        return sku + Stores.SEPARATOR + location + Stores.SEPARATOR + number;
    }
}
