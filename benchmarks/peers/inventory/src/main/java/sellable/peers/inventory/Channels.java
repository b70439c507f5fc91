package sellable.peers.inventory;

/** The three channels: each sells from every location, and keeps some percent of each one back. */
public final class Channels {
    public static final int NONE = -1;
    public static final int UNKNOWN = -2;
    public static final int COUNT = 3;
    private static final String[] NAMES = {"marketplace-a", "marketplace-b", "web-shop"};
    private static final long[] BUFFER_PERCENT = {0, 2, 5};
    private static final long HUNDRED = 100;

    private Channels() {}

    public static String name(int channel) {
        return NAMES[channel];
    }

    /** The number of a channel, or UNKNOWN. */
    static int number(String name) {
        for (int channel = 0; channel < COUNT; channel++) {
            if (NAMES[channel].equals(name)) {
                return channel;
            }
        }
        return UNKNOWN;
    }

    /** What a channel may sell of a location's free stock; its buffer is rounded up. */
    static long after(int channel, long base) {
        return base - (base * BUFFER_PERCENT[channel] + HUNDRED - 1) / HUNDRED;
    }
}
