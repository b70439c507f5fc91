package sellable.peers.kafkastreams;

import java.util.ArrayList;
import java.util.List;

/**
 * Tells which identities a store certainly does not hold, so that RocksDB need not be asked.
 *
 * <p>Nearly all identities are new, and RocksDB answers for what it does not have by an exception in
 * C++, which costs more than finding it. Bloom filters, each twice as long as the one before.
 */
final class IdentityFilter {
    private static final int FIRST_CAPACITY = 1 << 20;
    private static final int BITS_EACH = 12;
    private static final int PROBES = 6;

    private final List<Filter> filters = new ArrayList<>();

    private static final class Filter {
        private final long[] words;
        private final long mask;
        private final int capacity;
        private int held;

        private Filter(int capacity) {
            this.capacity = capacity;
            long bits = Long.highestOneBit((long) capacity * BITS_EACH - 1) * 2;
            words = new long[(int) (bits / Long.SIZE)];
            mask = bits - 1;
        }

        private boolean mayHold(long high, long low) {
            for (long probe = 0; probe < PROBES; probe++) {
                long bit = (high + probe * (low | 1)) & mask;
                if ((words[(int) (bit / Long.SIZE)] & 1L << bit) == 0) {
                    return false;
                }
            }
            return true;
        }

        private void add(long high, long low) {
            for (long probe = 0; probe < PROBES; probe++) {
                long bit = (high + probe * (low | 1)) & mask;
                words[(int) (bit / Long.SIZE)] |= 1L << bit;
            }
            held++;
        }
    }

    boolean mayHold(long high, long low) {
        for (Filter filter : filters) {
            if (filter.mayHold(high, low)) {
                return true;
            }
        }
        return false;
    }

    void add(long high, long low) {
        Filter last = filters.isEmpty() ? null : filters.get(filters.size() - 1);
        if (last == null || last.held == last.capacity) {
            last = new Filter(last == null ? FIRST_CAPACITY : last.capacity * 2);
            filters.add(last);
        }
        last.add(high, low);
    }
}
