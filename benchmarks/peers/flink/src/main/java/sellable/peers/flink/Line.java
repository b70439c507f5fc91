package sellable.peers.flink;

/** One message of the input topic and where it stood. */
public class Line {
    public byte[] payload;
    public long offset;
}
