package sellable.peers.inventory;

/** One movement, valid and with its defaults filled in. Instants are microseconds since the epoch. */
public final class Movement {
    public static final long NEVER = Long.MIN_VALUE;
    public static final int SELLABLE = 0;
    public static final int INSPECTING = 1;
    public static final int DAMAGED = 2;
    public static final int DISPOSITIONS = 3;

    /** What a movement does. */
    public enum Type {
        SALE,
        RETURN,
        RECEIPT,
        EXPECT,
        TRANSFER,
        ADJUSTMENT,
        COUNT,
        RECLASSIFY,
        RESERVE,
        CONFIRM,
        ALLOCATE,
        RELEASE,
        FULFIL
    }

    public Type type;
    public String id;
    public String source;
    public String sku;
    public String location;
    public String toLocation;
    public String fromLocation;
    public String reservation;
    public String correlationId;
    public int channel;
    public boolean hasQuantity;
    public long quantity;
    public int disposition;
    public int from;
    public int to;
    public boolean force;
    public boolean allowPartial;
    public long at;
    public long expires;

    /** Two halves of the hash of (source, id, sku). */
    public long identityHigh;

    public long identityLow;

    /** The hash of everything that makes two movements of one identity duplicates. */
    public long content;

    /** Why the movement is refused; null when it is not. */
    public String refusal;

    void clear() {
        type = null;
        id = source = sku = location = toLocation = fromLocation = null;
        reservation = correlationId = refusal = null;
        channel = Channels.NONE;
        hasQuantity = force = allowPartial = false;
        quantity = 0;
        disposition = SELLABLE;
        from = to = -1;
        at = expires = NEVER;
    }
}
