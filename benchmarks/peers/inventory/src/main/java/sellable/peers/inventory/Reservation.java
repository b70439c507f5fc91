package sellable.peers.inventory;

import java.util.ArrayList;
import java.util.List;

/** A reservation, or the steps of one whose reserve has not come. */
public final class Reservation {
    static final int EARLY = 0;
    static final int OPEN = 1;
    static final int ENDED = 2;
    static final int EXPIRED = 3;

    private static final long EVERYTHING = -1;

    /** A step that came before its reserve; `quantity` below 0 is everything. */
    record Early(Movement.Type type, long arrivedAt, long quantity, String location) {
        Early(Movement m, long clock) {
            this(m.type, clock, m.hasQuantity ? m.quantity : EVERYTHING, m.location);
        }

        /** What the step takes of what is left. */
        long wanted(long left) {
            return switch (type) {
                case RELEASE, FULFIL, SALE -> quantity == EVERYTHING ? left : quantity;
                default -> 0;
            };
        }
    }

    int status = EARLY;
    String location;
    String correlationId;
    int channel = Channels.NONE;
    boolean confirmed;
    long expires = Movement.NEVER;
    long left;
    long expired;
    long fulfilledSince;
    long endedAt = Movement.NEVER;
    List<Early> early = List.of();

    /** The instant at which it expires when nothing else happens, or NEVER. */
    public long dueAt() {
        return status == OPEN && !confirmed ? expires : Movement.NEVER;
    }

    /** Whether it may be forgotten. */
    public boolean isForgotten(long clock) {
        return status != OPEN && clock - restsSince() > Ledger.WINDOW;
    }

    /** The clock when it ended, or when the last step came that waits for its reserve. */
    public long restsSince() {
        return status == EARLY ? early.get(early.size() - 1).arrivedAt() : endedAt;
    }

    void addEarly(Movement m, long clock) {
        if (early.isEmpty()) {
            early = new ArrayList<>(1);
        }
        early.add(new Early(m, clock));
    }

    /** Takes at most `quantity` off what is left, and ends when nothing is. */
    long takeOff(long quantity, int how, long clock) {
        long taken = Math.min(quantity, left);
        left -= taken;
        if (left == 0) {
            status = how;
            endedAt = clock;
        }
        return taken;
    }

    public void write(Bytes out) {
        out.putByte(status);
        out.putByte(channel);
        out.putByte(confirmed ? 1 : 0);
        out.putText(location);
        out.putText(correlationId);
        KeyState.writeInstant(out, expires);
        KeyState.writeInstant(out, endedAt);
        out.putNumber(left);
        out.putNumber(expired);
        out.putNumber(fulfilledSince);
        out.putNumber(early.size());
        for (Early step : early) {
            out.putByte(step.type.ordinal());
            out.putLong(step.arrivedAt);
            out.putNumber(step.quantity);
            out.putText(step.location);
        }
    }

    public static Reservation read(Bytes in) {
        Reservation one = new Reservation();
        one.status = in.getByte();
        one.channel = in.getByte();
        one.confirmed = in.getByte() == 1;
        one.location = in.getText();
        one.correlationId = in.getText();
        one.expires = KeyState.readInstant(in);
        one.endedAt = KeyState.readInstant(in);
        one.left = in.getNumber();
        one.expired = in.getNumber();
        one.fulfilledSince = in.getNumber();
        int steps = (int) in.getNumber();
        if (steps > 0) {
            one.early = new ArrayList<>(steps);
        }
        for (int step = 0; step < steps; step++) {
            Movement.Type type = TYPES[in.getByte()];
            one.early.add(new Early(type, in.getLong(), in.getNumber(), in.getText()));
        }
        return one;
    }

    private static final Movement.Type[] TYPES = Movement.Type.values();
}
