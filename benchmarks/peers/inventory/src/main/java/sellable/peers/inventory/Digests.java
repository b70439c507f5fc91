package sellable.peers.inventory;

import java.nio.charset.StandardCharsets;
import net.openhft.hashing.LongHashFunction;
import net.openhft.hashing.LongTupleHashFunction;

/** The identity of a movement and its content, as hashes. Not for several threads. */
final class Digests {
    private static final LongTupleHashFunction IDENTITY = LongTupleHashFunction.xx128();
    private static final LongHashFunction CONTENT = LongHashFunction.xx3();

    private final Bytes buffer = new Bytes();
    private final long[] pair = new long[2];

    /** Fills the three hashes of a movement. Identity and content have no field in common. */
    void seal(Movement m) {
        buffer.clear();
        text(m.source);
        text(m.id);
        text(m.sku);
        IDENTITY.hashBytes(buffer.array(), 0, buffer.length(), pair);
        m.identityHigh = pair[0];
        m.identityLow = pair[1];

        buffer.clear();
        buffer.putByte(m.type.ordinal() | (m.force ? 0x10 : 0) | (m.allowPartial ? 0x20 : 0));
        buffer.putByte(m.disposition | (m.from + 1) << 2 | (m.to + 1) << 4);
        buffer.putByte(m.channel);
        buffer.putByte(m.hasQuantity ? 1 : 0);
        buffer.putLong(m.quantity);
        buffer.putLong(m.at);
        buffer.putLong(m.expires);
        text(m.location);
        text(m.toLocation);
        text(m.fromLocation);
        text(m.reservation);
        m.content = CONTENT.hashBytes(buffer.array(), 0, buffer.length());
    }

    private void text(String text) {
        if (text != null) {
            buffer.putRaw(text.getBytes(StandardCharsets.UTF_8));
        }
        buffer.putByte(0); // no text holds it
    }
}
