package sellable.peers.kafkastreams;

import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import sellable.peers.inventory.Channels;
import sellable.peers.inventory.DeadLetters;
import sellable.peers.inventory.Instants;
import sellable.peers.inventory.Ledger;
import sellable.peers.inventory.Movement;
import sellable.peers.inventory.MovementReader;
import sellable.peers.inventory.Progress;
import sellable.peers.inventory.Publications;
import sellable.peers.inventory.Reservation;
import sellable.peers.inventory.SkuState;

/**
 * All the work on the movements of one partition.
 *
 * <p>With a tick, what changed is published on whole multiples of it by the clock of the movements,
 * with the stock as it stood before the first movement that takes the clock there. Without one (0),
 * every change is published at once.
 */
final class InventoryProcessor implements Processor<byte[], byte[], byte[], byte[]> {
    static final String DEAD_LETTERS = "exceptions";
    private static final long FORGET_EVERY = Instants.HOUR;

    private final long tick;
    private final Progress progress;
    private final CountDownLatch finished;
    private final MovementReader reader = new MovementReader();
    private final DeadLetters deadLetters = new DeadLetters();
    private final Publications publications = new Publications();
    private final Expiries expiries = new Expiries();
    private final Set<String> changed = new HashSet<>();

    private ProcessorContext<byte[], byte[]> context;
    private KeyValueStore<String, SkuRecord> skus;
    private KeyValueStore<String, Reservation> reservations;
    private Identities identities;
    private StoredStock stock;
    private Ledger ledger;
    private long clock;
    private long nextTick = Long.MAX_VALUE;
    private long forgetAt;
    private long arrivedAtMs;

    /** `finished` is counted down when the last movement is done, though not yet committed. */
    InventoryProcessor(long tick, Progress progress, CountDownLatch finished) {
        this.tick = tick;
        this.progress = progress;
        this.finished = finished;
    }

    @Override
    public void init(ProcessorContext<byte[], byte[]> given) {
        context = given;
        skus = given.getStateStore(Stores.SKUS);
        reservations = given.getStateStore(Stores.RESERVATIONS);
        identities = new Identities(given.getStateStore(Stores.IDENTITIES));
        stock = new StoredStock(
                skus, reservations, given.getStateStore(Stores.CHUNKS), expiries);
        ledger = new Ledger(stock);
        clock = Movement.NEVER;
        findWhatIsDue();
        forgetAt = clock;
    }

    /** The clock, what expires, and what is yet to be published follow from the stores. */
    private void findWhatIsDue() {
        try (KeyValueIterator<String, Reservation> all = reservations.all()) {
            while (all.hasNext()) {
                KeyValue<String, Reservation> entry = all.next();
                clock = Math.max(clock, entry.value.restsSince());
                long due = entry.value.dueAt();
                if (due != Movement.NEVER) {
                    int end = entry.key.indexOf(Stores.SEPARATOR);
                    expiries.add(due, entry.key.substring(0, end), entry.key.substring(end + 1));
                }
            }
        }
        try (KeyValueIterator<String, SkuRecord> all = skus.all()) {
            while (all.hasNext()) {
                KeyValue<String, SkuRecord> entry = all.next();
                SkuState state = entry.value.state();
                clock = Math.max(clock, state.changedAt());
                if (state.differs()) {
                    changed.add(entry.key);
                }
            }
        }
        if (!changed.isEmpty()) {
            nextTick = firstTick(clock + 1);
        }
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
        arrivedAtMs = record.timestamp();
        Movement m = reader.read(record.value());
        String refusal = m.refusal == null ? take(m) : m.refusal;
        if (refusal != null) {
            byte[] letter = deadLetters.record(refusal, record.value());
            context.forward(new Record<>(null, letter, arrivedAtMs), DEAD_LETTERS);
        }
        long done = context.recordMetadata().orElseThrow().offset() + 1;
        if (progress.isEnd(done)) {
            advance(clock - Math.floorMod(clock, Instants.SECOND) + Instants.SECOND);
            context.commit();
            finished.countDown();
        }
        progress.reached(done);
    }

    /** Takes a valid movement; the code of its refusal, or null. */
    private String take(Movement m) {
        String refusal = Ledger.examine(m, clock);
        if (refusal != null) {
            return refusal;
        }
        Long seen = identities.seen(m);
        if (seen != null) {
            return seen == m.content ? null : "conflicting_duplicate";
        }
        Ledger.bringBack(m, clock);
        long now = Math.max(clock, m.at);
        if (ledger.reservationExists(m, now)) {
            return "reservation_exists";
        }
        advance(now);
        identities.remember(m, clock);
        keep(m.sku, ledger.apply(m, clock), clock, clock + 1);
        return null;
    }

    /** Moves the clock, with all that falls due on the way: at one instant expiries, then ticks. */
    private void advance(long now) {
        while (true) {
            long due = Math.min(expiries.next(), nextTick);
            if (due > now) {
                break;
            }
            if (expiries.next() <= nextTick) {
                Expiries.Due one = expiries.take();
                keep(one.sku(), ledger.expire(one.sku(), one.reservation(), due, due), due, due);
            } else {
                publishAll(due);
            }
        }
        clock = now;
        if (clock >= forgetAt) {
            forget();
        }
    }

    /** Keeps what changed of a SKU, and publishes it: now, or on the first tick of a time on. */
    private void keep(String sku, SkuState state, long now, long tickFrom) {
        if (state == null) {
            return;
        }
        if (tick == 0) {
            publish(sku, state, now);
        } else if (changed.add(sku) && nextTick == Long.MAX_VALUE) {
            nextTick = firstTick(tickFrom);
        }
        stock.keep(sku, state);
    }

    private void publishAll(long instant) {
        for (String sku : changed) {
            SkuState state = stock.sku(sku);
            if (publish(sku, state, instant)) {
                stock.keep(sku, state);
            }
        }
        changed.clear();
        nextTick = Long.MAX_VALUE;
    }

    private boolean publish(String sku, SkuState state, long instant) {
        return publications.publish(
                sku,
                state,
                instant,
                (channel, key, record) ->
                        context.forward(
                                new Record<>(key, record, arrivedAtMs), Channels.name(channel)));
    }

    private long firstTick(long from) {
        return from + Math.floorMod(-from, tick);
    }

    /** Drops reservations that ended longer ago than anybody has to know. */
    private void forget() {
        forgetAt = clock + FORGET_EVERY;
        try (KeyValueIterator<String, Reservation> all = reservations.all()) {
            while (all.hasNext()) {
                KeyValue<String, Reservation> entry = all.next();
                if (entry.value.isForgotten(clock)) {
                    reservations.delete(entry.key);
                }
            }
        }
    }
}
