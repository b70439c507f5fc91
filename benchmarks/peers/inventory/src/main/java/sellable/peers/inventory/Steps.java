package sellable.peers.inventory;

import java.util.ArrayList;
import java.util.List;

/** The steps of reservations, in every order in which they may arrive. */
final class Steps {
    private final Ledger ledger;
    private final Stock stock;

    Steps(Ledger ledger, Stock stock) {
        this.ledger = ledger;
        this.stock = stock;
    }

    /** Whether a movement that names a reservation is one of its steps. */
    static boolean concern(Movement m) {
        return switch (m.type) {
            case RESERVE, CONFIRM, ALLOCATE, RELEASE, FULFIL, SALE -> true;
            default -> false;
        };
    }

    /** Takes a step; false when it is a reserve that is rejected. */
    boolean take(Movement m, long clock) {
        Reservation one = stock.reservation(m.sku, m.reservation);
        if (one != null && one.status != Reservation.EARLY && one.isForgotten(clock)) {
            one = null;
        }
        if (m.type == Movement.Type.RESERVE) {
            return reserve(m, one, clock);
        }
        if (one == null || one.status == Reservation.EARLY) {
            Reservation early = one == null ? new Reservation() : one;
            early.addEarly(m, clock);
            stock.keep(m.sku, m.reservation, early);
            return true;
        }
        boolean open = one.status == Reservation.OPEN;
        if (open && one.location != null && m.type != Movement.Type.ALLOCATE) {
            ledger.touch(one.location);
        }
        boolean changed = switch (m.type) {
            case CONFIRM -> open ? confirm(one) : reinstate(m, one);
            case ALLOCATE -> open && allocate(m, one);
            case RELEASE -> open && resolve(one, m.hasQuantity ? m.quantity : one.left, clock);
            default -> open ? resolve(one, m.quantity, clock) : fulfilAfterEnd(m, one);
        };
        if (changed) {
            stock.keep(m.sku, m.reservation, one);
        }
        return true;
    }

    private boolean reserve(Movement m, Reservation known, long clock) {
        List<Reservation.Early> early = known == null ? List.of() : remembered(known, clock);
        Reservation one = new Reservation();
        one.location = m.location;
        one.channel = m.channel;
        one.expires = m.expires;
        one.correlationId = m.correlationId;
        long asked = m.quantity;
        for (Reservation.Early step : early) {
            asked -= Math.min(step.wanted(asked), asked);
        }
        long taken = asked;
        boolean rejected = false;
        if (!m.force) {
            long there = ledger.available(m);
            if (there < asked) {
                taken = m.allowPartial ? there : 0;
                rejected = taken == 0;
            }
        }
        for (Reservation.Early step : early) {
            if (step.type() == Movement.Type.ALLOCATE && one.location == null) {
                one.location = step.location();
            }
            one.confirmed |= step.type() == Movement.Type.CONFIRM && taken > 0;
        }
        one.status = taken > 0 ? Reservation.OPEN : Reservation.ENDED;
        one.endedAt = taken > 0 ? Movement.NEVER : clock;
        if (taken > 0) {
            open(m, one, taken, clock);
        }
        stock.keep(m.sku, m.reservation, one);
        return !rejected;
    }

    private void open(Movement m, Reservation one, long taken, long clock) {
        one.left = taken;
        ledger.hold(one.location, taken);
        long due = one.dueAt();
        if (due != Movement.NEVER && due > clock) {
            stock.schedule(due, m.sku, m.reservation);
        }
    }

    private static List<Reservation.Early> remembered(Reservation known, long clock) {
        List<Reservation.Early> steps = new ArrayList<>(known.early.size());
        for (Reservation.Early step : known.early) {
            if (clock - step.arrivedAt() <= Ledger.WINDOW) {
                steps.add(step);
            }
        }
        return steps;
    }

    private static boolean confirm(Reservation one) {
        boolean changed = !one.confirmed;
        one.confirmed = true;
        return changed;
    }

    /** Takes again, by force, what had expired although the customer was in time. */
    private boolean reinstate(Movement m, Reservation one) {
        long again = Math.max(0, one.expired - one.fulfilledSince);
        if (one.status != Reservation.EXPIRED || again == 0 || m.at >= one.expires) {
            return false;
        }
        one.status = Reservation.OPEN;
        one.endedAt = Movement.NEVER;
        one.confirmed = true;
        one.expired = one.fulfilledSince = 0;
        one.left = again;
        ledger.hold(one.location, again);
        return true;
    }

    private boolean allocate(Movement m, Reservation one) {
        if (one.location != null) {
            return false;
        }
        ledger.hold(null, -one.left);
        one.location = m.location;
        ledger.hold(m.location, one.left);
        return true;
    }

    private boolean resolve(Reservation one, long quantity, long clock) {
        ledger.hold(one.location, -one.takeOff(quantity, Reservation.ENDED, clock));
        return true;
    }

    private static boolean fulfilAfterEnd(Movement m, Reservation one) {
        one.fulfilledSince += m.quantity;
        return true;
    }
}
