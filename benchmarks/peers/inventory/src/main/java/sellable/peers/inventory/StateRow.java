package sellable.peers.inventory;

/** One line of the final state, to be compared with the oracle's. */
public final class StateRow {
    private StateRow() {}

    /** A key: sku, location, the quantities, reserved, incoming, version, when it was counted. */
    public static String of(String sku, String location, KeyState key) {
        StringBuilder row = new StringBuilder("[\"key\",\"").append(sku).append("\",\"");
        row.append(location).append('"');
        for (long quantity : key.quantities) {
            row.append(',').append(quantity);
        }
        row.append(',').append(key.reserved);
        row.append(',').append(Math.max(0, key.incoming));
        row.append(',').append(key.version);
        for (long instant : key.countedAt) {
            row.append(',').append(instant == Movement.NEVER ? "null" : Long.toString(instant));
        }
        return row.append(']').toString();
    }

    /** A SKU: what is reserved without a location, and what each channel was told. */
    public static String of(String sku, SkuState state) {
        StringBuilder row = new StringBuilder("[\"sku\",\"").append(sku).append("\",");
        row.append(state.claims);
        for (long told : state.told) {
            row.append(',').append(told);
        }
        return row.append(']').toString();
    }
}
