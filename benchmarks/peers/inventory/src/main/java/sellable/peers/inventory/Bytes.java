package sellable.peers.inventory;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** Compact bytes, written or read from the start: whole numbers take as few bytes as they need. */
public final class Bytes {
    private static final VarHandle LONG =
            MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.BIG_ENDIAN);
    private static final int FIRST_SIZE = 512;
    private static final int LONGEST_NUMBER = 10;

    private byte[] data;
    private int at;

    /** To be written. */
    public Bytes() {
        data = new byte[FIRST_SIZE];
    }

    /** To be read. */
    public Bytes(byte[] data) {
        this.data = data;
    }

    public void clear() {
        at = 0;
    }

    public int length() {
        return at;
    }

    byte[] array() {
        return data;
    }

    public byte[] toArray() {
        return Arrays.copyOf(data, at);
    }

    boolean hasMore() {
        return at < data.length;
    }

    public void putByte(int value) {
        reserve(1);
        data[at++] = (byte) value;
    }

    public int getByte() {
        return data[at++];
    }

    public void putLong(long value) {
        reserve(Long.BYTES);
        LONG.set(data, at, value);
        at += Long.BYTES;
    }

    public long getLong() {
        long value = (long) LONG.get(data, at);
        at += Long.BYTES;
        return value;
    }

    /** A signed number: small ones of either sign are short. */
    public void putNumber(long value) {
        reserve(LONGEST_NUMBER);
        long rest = value << 1 ^ value >> 63;
        while ((rest & ~0x7fL) != 0) {
            data[at++] = (byte) (rest | 0x80);
            rest >>>= 7;
        }
        data[at++] = (byte) rest;
    }

    public long getNumber() {
        long value = 0;
        int shift = 0;
        byte next;
        do {
            next = data[at++];
            value |= (next & 0x7fL) << shift;
            shift += 7;
        } while (next < 0);
        return value >>> 1 ^ -(value & 1);
    }

    /** A text, or null. */
    public void putText(String text) {
        if (text == null) {
            putNumber(-1);
            return;
        }
        byte[] raw = text.getBytes(StandardCharsets.UTF_8);
        putNumber(raw.length);
        putRaw(raw);
    }

    public String getText() {
        int length = (int) getNumber();
        if (length < 0) {
            return null;
        }
        at += length;
        return new String(data, at - length, length, StandardCharsets.UTF_8);
    }

    public void putRaw(byte[] raw) {
        reserve(raw.length);
        System.arraycopy(raw, 0, data, at, raw.length);
        at += raw.length;
    }

    public byte[] getRaw(int length) {
        at += length;
        return Arrays.copyOfRange(data, at - length, at);
    }

    /** Text of ASCII characters, one byte each. */
    void putAscii(String text) {
        putRaw(text.getBytes(StandardCharsets.ISO_8859_1));
    }

    private void reserve(int more) {
        if (at + more > data.length) {
            data = Arrays.copyOf(data, Math.max(data.length * 2, at + more));
        }
    }
}
