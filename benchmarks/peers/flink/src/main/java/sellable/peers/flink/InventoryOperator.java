package sellable.peers.flink;

import java.io.BufferedWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.apache.flink.api.common.typeutils.base.StringSerializer;
import org.apache.flink.runtime.state.KeyedStateBackend;
import org.apache.flink.runtime.state.StateSnapshotContext;
import org.apache.flink.runtime.state.VoidNamespace;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.InternalTimer;
import org.apache.flink.streaming.api.operators.InternalTimerService;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.operators.Triggerable;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import sellable.peers.inventory.DeadLetters;
import sellable.peers.inventory.Ledger;
import sellable.peers.inventory.Movement;
import sellable.peers.inventory.Progress;
import sellable.peers.inventory.Publications;
import sellable.peers.inventory.SkuState;

/**
 * All the work on the movements of a SKU.
 *
 * <p>With a tick, what changed is published by a timer on whole multiples of it; without one (0),
 * every change is published at once. Timers of reservations carry their name.
 */
final class InventoryOperator extends AbstractStreamOperator<Told>
        implements OneInputStreamOperator<Arrival, Told>,
                Triggerable<String, String>,
                BundledStock.Host {
    private static final long serialVersionUID = 1L;
    private static final String TICK = "";

    private final long tick;
    private final long movements;
    private final String dump;

    private transient Progress progress;
    private transient BundledStock stock;
    private transient Ledger ledger;
    private transient Publications publications;
    private transient DeadLetters deadLetters;
    private transient InternalTimerService<String> timers;
    private transient StreamRecord<Told> told;
    private transient long clock;
    private transient long lastMoment;

    InventoryOperator(long tick, long movements, String dump) {
        this.tick = tick;
        this.movements = movements;
        this.dump = dump;
    }

    @Override
    public void open() throws Exception {
        super.open();
        progress = new Progress(movements);
        stock = new BundledStock(getKeyedStateStore(), this);
        ledger = new Ledger(stock);
        publications = new Publications();
        deadLetters = new DeadLetters();
        timers = getInternalTimerService("due", StringSerializer.INSTANCE, this);
        told = new StreamRecord<>(new Told());
        clock = Movement.NEVER;
        lastMoment = Long.MAX_VALUE;
    }

    @Override
    public void processElement(StreamRecord<Arrival> element) {
        Arrival arrival = element.getValue();
        Movement m = arrival.movement;
        String refusal = m.refusal == null ? take(m) : m.refusal;
        if (refusal != null) {
            byte[] letter = deadLetters.record(refusal, arrival.line.payload);
            send(TopicOf.DEAD_LETTERS, null, letter);
        }
        progress.reached(arrival.line.offset + 1);
    }

    /** Takes a valid movement; the code of its refusal, or null. */
    private String take(Movement m) {
        Objects objects = stock.objects(m.sku);
        Objects.Identity identity = new Objects.Identity(m.identityHigh, m.identityLow);
        Long seen = stock.seen(objects, identity);
        if (seen != null) {
            return seen == m.content ? null : "conflicting_duplicate";
        }
        if (ledger.reservationExists(m, clock)) {
            return "reservation_exists";
        }
        objects.newIdentities.put(identity, m.content);
        keep(m.sku, ledger.apply(m, clock), clock);
        return null;
    }

    /** Keeps what changed of a SKU, and publishes it: now, or on the next tick. */
    private void keep(String sku, SkuState state, long now) {
        if (state == null) {
            return;
        }
        stock.keep(sku, state);
        if (tick == 0) {
            publications.publish(sku, state, now, this::send);
            return;
        }
        Objects objects = stock.objects(sku);
        if (objects.tick == 0) {
            objects.tick = Moments.nextMultiple(now, tick);
            timers.registerEventTimeTimer(TICK, Moments.ofTick(objects.tick));
        }
    }

    @Override
    public void onEventTime(InternalTimer<String, String> timer) {
        if (timer.getTimestamp() > lastMoment) {
            return; // the input has ended, and time with it
        }
        String sku = timer.getKey();
        long instant = Moments.instant(timer.getTimestamp());
        if (!timer.getNamespace().equals(TICK)) {
            SkuState state = ledger.expire(sku, timer.getNamespace(), instant, instant);
            // on a tick it is published on that tick still
            keep(sku, state, tick == 0 ? instant : instant - 1);
            return;
        }
        Objects objects = stock.objects(sku);
        objects.tick = 0;
        if (publications.publish(sku, objects.state, instant, this::send)) {
            stock.keep(sku, objects.state);
        }
    }

    @Override
    public void onProcessingTime(InternalTimer<String, String> timer) {
        throw new IllegalStateException("nothing is due by the wall clock");
    }

    private void send(int outlet, byte[] key, byte[] record) {
        Told next = told.getValue();
        next.outlet = outlet;
        next.key = key;
        next.record = record;
        output.collect(told);
    }

    @Override
    public void processWatermark(Watermark mark) throws Exception {
        boolean ended = mark.getTimestamp() == Watermark.MAX_WATERMARK.getTimestamp();
        if (ended) {
            lastMoment = Moments.ofClock(Moments.nextSecond(clock));
        }
        super.processWatermark(mark);
        if (ended) {
            Progress.apart(this::writeState);
        } else {
            clock = Moments.instant(mark.getTimestamp());
        }
    }

    @Override
    public void snapshotState(StateSnapshotContext context) throws Exception {
        stock.flush();
        super.snapshotState(context);
    }

    @Override
    public void useKey(String sku) {
        setCurrentKey(sku);
    }

    @Override
    public void schedule(long instant, String reservation) {
        timers.registerEventTimeTimer(reservation, Moments.ofExpiry(instant));
    }

    private void writeState() throws Exception {
        stock.flush();
        KeyedStateBackend<String> backend = getKeyedStateBackend();
        List<String> skus = backend.getKeys("skus", VoidNamespace.INSTANCE).toList();
        try (BufferedWriter file = Files.newBufferedWriter(Path.of(dump))) {
            for (String sku : skus) {
                setCurrentKey(sku);
                stock.dump(sku, file);
            }
        }
    }
}
