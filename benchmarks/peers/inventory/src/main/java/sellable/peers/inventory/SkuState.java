package sellable.peers.inventory;

/** What the locations of one SKU add up to, and what each channel was told last. */
public final class SkuState {
    private static final long UNTOLD = -1;

    /** The sum of what is free at every location. */
    long base;

    /** The sum of what is promised and not there. */
    long shortage;

    /** What unallocated reservations hold; every channel sells from every location. */
    long claims;

    /** The sum, for each channel, of what its buffer leaves of every location. */
    final long[] after = new long[Channels.COUNT];

    final long[] told = {UNTOLD, UNTOLD, UNTOLD};
    final long[] versions = new long[Channels.COUNT];

    /** The clock when it was changed last. */
    long changedAt = Movement.NEVER;

    String causeSource;
    String causeId;
    String causeCorrelationId;

    /** What a channel may sell now. */
    long available(int channel) {
        return Math.max(0, after[channel] - shortage - claims);
    }

    /** Whether a channel was told another number, or none. */
    public boolean differs() {
        for (int channel = 0; channel < Channels.COUNT; channel++) {
            if (told[channel] != available(channel)) {
                return true;
            }
        }
        return false;
    }

    public long changedAt() {
        return changedAt;
    }

    void causedBy(String source, String id, String correlationId, long clock) {
        changedAt = clock;
        causeSource = source;
        causeId = id;
        causeCorrelationId = correlationId;
    }

    public void write(Bytes out) {
        out.putNumber(base);
        out.putNumber(shortage);
        out.putNumber(claims);
        for (int channel = 0; channel < Channels.COUNT; channel++) {
            out.putNumber(after[channel]);
            out.putNumber(told[channel]);
            out.putNumber(versions[channel]);
        }
        out.putLong(changedAt);
        out.putText(causeSource);
        out.putText(causeId);
        out.putText(causeCorrelationId);
    }

    public static SkuState read(Bytes in) {
        SkuState sku = new SkuState();
        sku.base = in.getNumber();
        sku.shortage = in.getNumber();
        sku.claims = in.getNumber();
        for (int channel = 0; channel < Channels.COUNT; channel++) {
            sku.after[channel] = in.getNumber();
            sku.told[channel] = in.getNumber();
            sku.versions[channel] = in.getNumber();
        }
        long changedAt = in.getLong();
        sku.causedBy(in.getText(), in.getText(), in.getText(), changedAt);
        return sku;
    }
}
