package sellable.peers.kafkastreams;

import java.util.Comparator;
import java.util.PriorityQueue;
import sellable.peers.inventory.Movement;

/** When to ask reservations whether they expire. In memory: the store tells it at a start. */
final class Expiries {
    /** One to ask. */
    record Due(long instant, String sku, String reservation) {}

    private final PriorityQueue<Due> queue = new PriorityQueue<>(
            Comparator.comparingLong(Due::instant)
                    .thenComparing(Due::sku)
                    .thenComparing(Due::reservation));

    void add(long instant, String sku, String reservation) {
        queue.add(new Due(instant, sku, reservation));
    }

    /** The next instant, or the end of time. */
    long next() {
        Due due = queue.peek();
        return due == null ? Long.MAX_VALUE : due.instant();
    }

    Due take() {
        return queue.remove();
    }

    static boolean isDue(long instant) {
        return instant != Movement.NEVER;
    }
}
