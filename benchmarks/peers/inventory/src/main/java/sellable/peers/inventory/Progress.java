package sellable.peers.inventory;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.Locale;

/**
 * Lines of JSON on standard output, by which whoever measures knows how far the work is.
 *
 * <p>`{"at": movements}` twenty times on the way; `{"done": movements}` when everything is durable;
 * `{"dumped": true}` when the final state was written. A peer that has to write it on the way tells
 * what that took: `{"apart": {"wall_s": seconds, "cpu_s": seconds}}` is no part of the work.
 */
public final class Progress {
    private static final long REPORTS = 20;
    private static final double NANOSECONDS = 1e9;

    private final long movements;
    private final long every;
    private long next;

    public Progress(long movements) {
        this.movements = movements;
        every = Math.max(1, movements / REPORTS);
        next = every;
    }

    /** So many movements are done, those of runs before this one among them. */
    public void reached(long done) {
        if (done >= next) {
            System.out.println("{\"at\":" + done + "}");
            next = done - done % every + every;
        }
    }

    public boolean isEnd(long done) {
        return done >= movements;
    }

    public static void done(long movements) {
        System.out.println("{\"done\":" + movements + "}");
    }

    /** Something that is not the work. */
    public interface Aside {
        void run() throws Exception;
    }

    /** Does something that is not the work, and tells what it took. */
    public static void apart(Aside aside) throws Exception {
        OperatingSystemMXBean system =
                (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        long wall = System.nanoTime();
        long cpu = system.getProcessCpuTime();
        aside.run();
        System.out.printf(
                Locale.ROOT,
                "{\"apart\":{\"wall_s\":%.3f,\"cpu_s\":%.3f}}%n",
                (System.nanoTime() - wall) / NANOSECONDS,
                (system.getProcessCpuTime() - cpu) / NANOSECONDS);
    }

    public static void dumped() {
        System.out.println("{\"dumped\":true}");
    }
}
