package sellable.peers.inventory;

import java.util.Arrays;

/** The stock of one SKU at one location, with its recent movements. */
public final class KeyState {
    private static final int ROOM = 8; // numbers that an array of movements grows by

    final long[] quantities = new long[Movement.DISPOSITIONS];

    /** When each disposition was counted last. */
    final long[] countedAt = {Movement.NEVER, Movement.NEVER, Movement.NEVER};

    long reserved;

    /** Signed: below 0 where an arrival was told before its transfer. */
    long incoming;

    long version;

    /** Pairs of an instant and a signed quantity times 4 plus the number of its disposition. */
    long[] recent = new long[ROOM];

    int recentLength;
    long firstChunk;
    long nextChunk;

    /** The newest instant in any chunk so far. */
    long newestInChunks = Movement.NEVER;

    /** What is there and not promised. */
    long base() {
        return Math.max(0, quantities[Movement.SELLABLE] - reserved);
    }

    /** What is promised and not there. */
    long shortage() {
        return Math.max(0, reserved - Math.max(0, quantities[Movement.SELLABLE]));
    }

    void remember(long at, long packed) {
        if (recentLength == recent.length) {
            recent = Arrays.copyOf(recent, recentLength + ROOM);
        }
        recent[recentLength++] = at;
        recent[recentLength++] = packed;
    }

    /** Instants are written as differences, since those of neighbours are small. */
    public void write(Bytes out) {
        for (int disposition = 0; disposition < Movement.DISPOSITIONS; disposition++) {
            out.putNumber(quantities[disposition]);
            writeInstant(out, countedAt[disposition]);
        }
        out.putNumber(reserved);
        out.putNumber(incoming);
        out.putNumber(version);
        out.putNumber(firstChunk);
        out.putNumber(nextChunk);
        writeInstant(out, newestInChunks);
        writePairs(out, recent, recentLength);
    }

    public static KeyState read(Bytes in) {
        KeyState key = new KeyState();
        for (int disposition = 0; disposition < Movement.DISPOSITIONS; disposition++) {
            key.quantities[disposition] = in.getNumber();
            key.countedAt[disposition] = readInstant(in);
        }
        key.reserved = in.getNumber();
        key.incoming = in.getNumber();
        key.version = in.getNumber();
        key.firstChunk = in.getNumber();
        key.nextChunk = in.getNumber();
        key.newestInChunks = readInstant(in);
        key.recent = readPairs(in);
        key.recentLength = key.recent.length;
        return key;
    }

    static void writePairs(Bytes out, long[] pairs, int length) {
        out.putNumber(length);
        long before = 0;
        for (int index = 0; index < length; index += 2) {
            out.putNumber(pairs[index] - before);
            out.putNumber(pairs[index + 1]);
            before = pairs[index];
        }
    }

    static long[] readPairs(Bytes in) {
        long[] pairs = new long[(int) in.getNumber()];
        long before = 0;
        for (int index = 0; index < pairs.length; index += 2) {
            before += in.getNumber();
            pairs[index] = before;
            pairs[index + 1] = in.getNumber();
        }
        return pairs;
    }

    static void writeInstant(Bytes out, long instant) {
        boolean known = instant != Movement.NEVER;
        out.putByte(known ? 1 : 0);
        if (known) {
            out.putLong(instant);
        }
    }

    static long readInstant(Bytes in) {
        return in.getByte() == 0 ? Movement.NEVER : in.getLong();
    }
}
