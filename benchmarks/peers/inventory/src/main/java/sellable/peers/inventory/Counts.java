package sellable.peers.inventory;

/**
 * Counts as of a time: a count at T is what lay there at T, plus all that has moved since.
 *
 * <p>Each key remembers its recent movements: the newest in its own record, older ones in chunks
 * that are never rewritten, and dropped when they are too old for any count.
 */
final class Counts {
    private static final int MOST_RECENT = 64; // numbers: 32 movements
    private static final int DISPOSITION_BITS = 2;
    private static final int DISPOSITION_MASK = (1 << DISPOSITION_BITS) - 1;
    private static final int CHUNKS_DROPPED_AT_ONCE = 2;

    private final Stock stock;
    private final Bytes out = new Bytes();

    Counts(Stock stock) {
        this.stock = stock;
    }

    /** A chunk: the newest instant in it and all before it, its oldest, and its movements. */
    private record Chunk(long newestSoFar, long oldest, long[] pairs) {
        static Chunk read(byte[] data) {
            Bytes in = new Bytes(data);
            return new Chunk(in.getLong(), in.getLong(), KeyState.readPairs(in));
        }
    }

    void remember(
            String sku, String location, KeyState key, int disposition, long units, long at,
            long clock) {
        key.remember(at, units << DISPOSITION_BITS | disposition);
        if (key.recentLength >= MOST_RECENT) {
            splitOff(sku, location, key, clock);
        }
    }

    long movedSince(String sku, String location, KeyState key, int disposition, long instant) {
        long total = sumAfter(key.recent, key.recentLength, disposition, instant);
        for (long number = key.nextChunk - 1; number >= key.firstChunk; number--) {
            Chunk chunk = Chunk.read(stock.chunk(sku, location, number));
            if (chunk.newestSoFar <= instant) {
                break;
            }
            total += sumAfter(chunk.pairs, chunk.pairs.length, disposition, instant);
        }
        return total;
    }

    private static long sumAfter(long[] pairs, int length, int disposition, long instant) {
        long total = 0;
        for (int index = 0; index < length; index += 2) {
            long packed = pairs[index + 1];
            if (pairs[index] > instant && (packed & DISPOSITION_MASK) == disposition) {
                total += packed >> DISPOSITION_BITS;
            }
        }
        return total;
    }

    /** Moves a full key's movements to a chunk, unless most of them are of no use any more. */
    private void splitOff(String sku, String location, KeyState key, long clock) {
        long horizon = clock - Ledger.WINDOW;
        int kept = 0;
        long newest = key.newestInChunks;
        long oldest = Long.MAX_VALUE;
        for (int index = 0; index < key.recentLength; index += 2) {
            long at = key.recent[index];
            long packed = key.recent[index + 1];
            if (at > horizon && at > key.countedAt[(int) (packed & DISPOSITION_MASK)]) {
                key.recent[kept++] = at;
                key.recent[kept++] = packed;
                newest = Math.max(newest, at);
                oldest = Math.min(oldest, at);
            }
        }
        key.recentLength = kept;
        if (kept <= MOST_RECENT / 2) {
            return;
        }
        key.newestInChunks = newest;
        out.clear();
        out.putLong(newest);
        out.putLong(oldest);
        KeyState.writePairs(out, key.recent, kept);
        stock.keep(sku, location, key.nextChunk++, out.toArray());
        key.recentLength = 0;
        dropOld(sku, location, key, horizon);
    }

    private void dropOld(String sku, String location, KeyState key, long horizon) {
        for (int dropped = 0; dropped < CHUNKS_DROPPED_AT_ONCE; dropped++) {
            if (key.firstChunk >= key.nextChunk
                    || Chunk.read(stock.chunk(sku, location, key.firstChunk)).newestSoFar
                            > horizon) {
                return;
            }
            stock.keep(sku, location, key.firstChunk++, null);
        }
    }
}
