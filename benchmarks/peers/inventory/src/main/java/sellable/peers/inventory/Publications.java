package sellable.peers.inventory;

import java.nio.charset.StandardCharsets;

/** Tells channels what changed, in the record of the contract. Not for several threads. */
public final class Publications {
    /** Takes what is published. */
    public interface Outlet {
        void publish(int channel, byte[] key, byte[] record);
    }

    private final Instants instants = new Instants();
    private final Bytes out = new Bytes();
    private long published;

    /** Publishes every channel's number that differs from what it was told; whether any did. */
    public boolean publish(String sku, SkuState state, long at, Outlet outlet) {
        byte[] key = null;
        for (int channel = 0; channel < Channels.COUNT; channel++) {
            long available = state.available(channel);
            if (available == state.told[channel]) {
                continue;
            }
            state.told[channel] = available;
            state.versions[channel]++;
            if (key == null) {
                key = sku.getBytes(StandardCharsets.UTF_8);
            }
            outlet.publish(channel, key, record(sku, state, channel, at));
            published++;
        }
        return key != null;
    }

    /** How many records there were. */
    public long published() {
        return published;
    }

    private byte[] record(String sku, SkuState state, int channel, long at) {
        out.clear();
        out.putAscii("{\"sku\":");
        putString(sku);
        out.putAscii(",\"channel\":\"");
        out.putAscii(Channels.name(channel));
        out.putAscii("\",\"location\":null,\"available\":");
        out.putAscii(Long.toString(state.told[channel]));
        out.putAscii(state.told[channel] == 0
                ? ",\"status\":\"out_of_stock\",\"version\":"
                : ",\"status\":\"in_stock\",\"version\":");
        out.putAscii(Long.toString(state.versions[channel]));
        out.putAscii(",\"computed_at\":\"");
        out.putAscii(instants.format(at));
        out.putAscii("\",\"cause\":{\"source\":");
        putString(state.causeSource);
        out.putAscii(",\"id\":");
        putString(state.causeId);
        out.putAscii(",\"correlation_id\":");
        if (state.causeCorrelationId == null) {
            out.putAscii("null");
        } else {
            putString(state.causeCorrelationId);
        }
        out.putAscii("}}");
        return out.toArray();
    }

    /** Texts hold no control characters, so that only two characters need an escape. */
    private void putString(String text) {
        String safe = text;
        if (text.indexOf('"') >= 0 || text.indexOf('\\') >= 0) {
            safe = text.replace("\\", "\\\\").replace("\"", "\\\"");
        }
        out.putByte('"');
        out.putRaw(safe.getBytes(StandardCharsets.UTF_8));
        out.putByte('"');
    }
}
