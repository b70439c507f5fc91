package sellable.peers.inventory;

/**
 * What movements do to the stock of a SKU. Not for several threads.
 *
 * <p>A movement touches three locations at most. Their states are loaded once, and written back
 * with the sums of the SKU when the movement is done.
 */
public final class Ledger {
    /** How long identities, counts, early steps and ended reservations are remembered. */
    public static final long WINDOW = 72 * Instants.HOUR;

    private static final long FURTHEST_JUMP = 31 * Instants.DAY;
    private static final String ENGINE = "engine";

    private final Stock stock;
    private final Counts counts;
    private final Steps steps;
    private final Place[] places = {new Place(), new Place(), new Place(), new Place()};
    private int placesInUse;
    private SkuState sku;
    private String skuName;
    private boolean isNew;

    /** A location in use: its state, and what the sums of the SKU hold of it. */
    static final class Place {
        String location;
        KeyState key;
        boolean touched;
        long base;
        long shortage;
    }

    public Ledger(Stock stock) {
        this.stock = stock;
        counts = new Counts(stock);
        steps = new Steps(this, stock);
    }

    /** The code of a movement that the clock forbids, or null. */
    public static String examine(Movement m, long clock) {
        if (clock == Movement.NEVER) {
            return null;
        }
        if (m.at > clock + FURTHEST_JUMP) {
            return goesAnyway(m) ? null : "future_dated";
        }
        if (clock - m.at > WINDOW) {
            return m.type == Movement.Type.COUNT ? "count_too_old" : "too_old";
        }
        return null;
    }

    /** Moves the time of a movement from too far in the future to the clock. */
    public static void bringBack(Movement m, long clock) {
        if (clock != Movement.NEVER && m.at > clock + FURTHEST_JUMP) {
            m.at = clock;
        }
    }

    /** Goods that moved have moved, whatever a till's clock says. */
    private static boolean goesAnyway(Movement m) {
        return switch (m.type) {
            case SALE, RETURN, FULFIL, RECEIPT, TRANSFER -> true;
            case RESERVE -> m.force;
            default -> false;
        };
    }

    /** Whether a reserve's name was used before. */
    public boolean reservationExists(Movement m, long clock) {
        if (m.type != Movement.Type.RESERVE) {
            return false;
        }
        Reservation found = stock.reservation(m.sku, m.reservation);
        return found != null && found.status != Reservation.EARLY && !found.isForgotten(clock);
    }

    /** Applies a movement; the state of its SKU, to be kept, or null when it was rejected. */
    public SkuState apply(Movement m, long clock) {
        begin(m.sku);
        boolean accepted = m.reservation == null || !Steps.concern(m) || steps.take(m, clock);
        move(m, clock);
        if (!accepted) {
            return null;
        }
        if (m.location != null && find(m.location) == null) {
            touch(m.location); // whatever it changes there, it is the first
        }
        sku.causedBy(m.source, m.id, m.correlationId, clock);
        finish();
        if (m.type == Movement.Type.RESERVE) {
            expireAtOnce(m, clock);
        }
        return sku;
    }

    /** Ends a reservation that nobody confirmed in time; null when there is nothing to end. */
    public SkuState expire(String skuOfIt, String name, long due, long clock) {
        Reservation one = stock.reservation(skuOfIt, name);
        if (one == null || one.dueAt() != due) {
            return null;
        }
        begin(skuOfIt);
        expire(one, name, clock);
        return sku;
    }

    /** A reserve that came after its own end was accepted, and is over now. */
    private void expireAtOnce(Movement m, long clock) {
        if (m.expires == Movement.NEVER || m.expires > clock) {
            return;
        }
        Reservation one = stock.reservation(m.sku, m.reservation);
        if (one.dueAt() != Movement.NEVER) {
            placesInUse = 0;
            expire(one, m.reservation, clock);
        }
    }

    private void expire(Reservation one, String name, long clock) {
        one.expired = one.left;
        one.fulfilledSince = 0;
        hold(one.location, -one.takeOff(one.left, Reservation.EXPIRED, clock));
        stock.keep(skuName, name, one);
        sku.causedBy(ENGINE, "expiry:" + name, one.correlationId, clock);
        finish();
    }

    /** Does to the goods what the movement says. */
    private void move(Movement m, long clock) {
        switch (m.type) {
            case SALE, FULFIL -> {
                shift(touch(m.location), Movement.SELLABLE, -m.quantity, m.at, clock);
            }
            case RETURN, ADJUSTMENT -> {
                shift(touch(m.location), m.disposition, m.quantity, m.at, clock);
            }
            case RECEIPT -> {
                Place place = touch(m.location);
                KeyState key = place.key;
                key.incoming -= m.fromLocation != null
                        ? m.quantity
                        : Math.min(m.quantity, Math.max(0, key.incoming));
                shift(place, m.disposition, m.quantity, m.at, clock);
            }
            case EXPECT -> {
                KeyState key = touch(m.location).key;
                key.incoming += m.quantity > 0
                        ? m.quantity
                        : -Math.min(-m.quantity, Math.max(0, key.incoming));
            }
            case TRANSFER -> {
                touch(m.toLocation).key.incoming += m.quantity;
                shift(touch(m.location), Movement.SELLABLE, -m.quantity, m.at, clock);
            }
            case RECLASSIFY -> {
                Place place = touch(m.location);
                shift(place, m.from, -m.quantity, m.at, clock);
                shift(place, m.to, m.quantity, m.at, clock);
            }
            case COUNT -> count(touch(m.location), m);
            default -> {
                // no goods are moved
            }
        }
    }

    /** Changes a disposition unless its newest count has seen the movement. */
    private void shift(Place place, int disposition, long units, long at, long clock) {
        KeyState key = place.key;
        if (at > key.countedAt[disposition]) {
            key.quantities[disposition] += units;
            counts.remember(skuName, place.location, key, disposition, units, at, clock);
        }
    }

    private void count(Place place, Movement m) {
        KeyState key = place.key;
        if (m.at <= key.countedAt[m.disposition]) {
            return;
        }
        long since = counts.movedSince(skuName, place.location, key, m.disposition, m.at);
        key.quantities[m.disposition] = m.quantity + since;
        key.countedAt[m.disposition] = m.at;
    }

    /** What a strict reservation may take. */
    long available(Movement m) {
        if (m.location == null) {
            return m.channel == Channels.NONE
                    ? Math.max(0, sku.base - sku.claims - sku.shortage)
                    : sku.available(m.channel);
        }
        Place place = find(m.location);
        long base = place == null ? 0 : place.key.base();
        long there = m.channel == Channels.NONE ? base : Channels.after(m.channel, base);
        return sku.claims == 0 ? there : Math.min(there, Math.max(0, sku.base - sku.claims));
    }

    /** Holds so many units more at a location, or as a claim without one. */
    void hold(String location, long units) {
        if (location == null) {
            sku.claims += units;
        } else {
            touch(location).key.reserved += units;
        }
    }

    /** The place of a location that the movement changes. */
    Place touch(String location) {
        Place place = find(location);
        if (place == null) {
            place = use(location, new KeyState());
        }
        place.touched = true;
        return place;
    }

    private Place find(String location) {
        for (int index = 0; index < placesInUse; index++) {
            if (places[index].location.equals(location)) {
                return places[index];
            }
        }
        KeyState key = stock.key(skuName, location);
        return key == null ? null : use(location, key);
    }

    private Place use(String location, KeyState key) {
        Place place = places[placesInUse++];
        place.location = location;
        place.key = key;
        place.touched = false;
        place.base = key.base();
        place.shortage = key.shortage();
        return place;
    }

    private void begin(String name) {
        skuName = name;
        placesInUse = 0;
        sku = stock.sku(name);
        if (sku == null) {
            sku = new SkuState();
        }
    }

    /** Writes back what was touched, and brings the sums of the SKU up to date. */
    private void finish() {
        for (int index = 0; index < placesInUse; index++) {
            Place place = places[index];
            if (!place.touched) {
                continue;
            }
            KeyState key = place.key;
            key.version++;
            long base = key.base();
            if (base != place.base) {
                sku.base += base - place.base;
                for (int channel = 0; channel < Channels.COUNT; channel++) {
                    sku.after[channel] +=
                            Channels.after(channel, base) - Channels.after(channel, place.base);
                }
            }
            sku.shortage += key.shortage() - place.shortage;
            stock.keep(skuName, place.location, key);
        }
    }
}
