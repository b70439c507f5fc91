package sellable.peers.flink;

import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.runtime.state.StateInitializationContext;
import org.apache.flink.runtime.state.StateSnapshotContext;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import sellable.peers.inventory.Ledger;
import sellable.peers.inventory.Movement;
import sellable.peers.inventory.MovementReader;

/**
 * Reads movements, and lets the watermark run ahead of each.
 *
 * <p>The watermark of a source comes after the record that moved it. Here it has to come before: what
 * falls due until a movement happens before it.
 */
final class ClockOperator extends AbstractStreamOperator<Arrival>
        implements OneInputStreamOperator<Line, Arrival> {
    private static final long serialVersionUID = 1L;

    private transient MovementReader reader;
    private transient StreamRecord<Arrival> arrival;
    private transient ListState<Long> kept;
    private transient long clock;
    private transient boolean told;

    @Override
    public void initializeState(StateInitializationContext context) throws Exception {
        super.initializeState(context);
        kept = context.getOperatorStateStore()
                .getListState(new ListStateDescriptor<>("clock", Long.class));
        clock = Movement.NEVER;
        for (long instant : kept.get()) {
            clock = instant;
        }
    }

    @Override
    public void open() throws Exception {
        super.open();
        reader = new MovementReader();
        arrival = new StreamRecord<>(new Arrival());
    }

    @Override
    public void snapshotState(StateSnapshotContext context) throws Exception {
        super.snapshotState(context);
        kept.clear();
        kept.add(clock);
    }

    @Override
    public void processElement(StreamRecord<Line> element) {
        Line line = element.getValue();
        Movement m = reader.read(line.payload);
        if (m.refusal == null) {
            m.refusal = Ledger.examine(m, clock);
        }
        if (m.refusal == null) {
            Ledger.bringBack(m, clock);
            if (m.at > clock || !told) {
                clock = Math.max(clock, m.at);
                output.emitWatermark(new Watermark(Moments.ofClock(clock)));
                told = true;
            }
        }
        Arrival next = arrival.getValue();
        next.movement = m;
        next.line = line;
        output.collect(arrival);
    }

    @Override
    public void processWatermark(Watermark mark) throws Exception {
        if (mark.getTimestamp() == Watermark.MAX_WATERMARK.getTimestamp()) {
            super.processWatermark(mark); // the input has ended
        }
    }
}
