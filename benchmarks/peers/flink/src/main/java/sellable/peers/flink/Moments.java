package sellable.peers.flink;

import sellable.peers.inventory.Instants;

/**
 * Event time as Flink counts it here: twice the microseconds, so that what falls due at one instant
 * keeps its order. An expiry is even; a tick, and the watermark that fires both, is the odd number
 * after it.
 */
final class Moments {
    private Moments() {}

    static long ofExpiry(long instant) {
        return 2 * instant;
    }

    static long ofTick(long instant) {
        return 2 * instant + 1;
    }

    static long ofClock(long instant) {
        return 2 * instant + 1;
    }

    static long instant(long moment) {
        return Math.floorDiv(moment, 2L);
    }

    /** The first multiple of a period after an instant. */
    static long nextMultiple(long instant, long period) {
        return instant - Math.floorMod(instant, period) + period;
    }

    static long nextSecond(long instant) {
        return nextMultiple(instant, Instants.SECOND);
    }
}
