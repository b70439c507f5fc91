package sellable.peers.flink;

/** One record that goes out; `outlet` is the number of a channel, or that of the dead letters. */
public class Told {
    public int outlet;
    public byte[] key;
    public byte[] record;
}
