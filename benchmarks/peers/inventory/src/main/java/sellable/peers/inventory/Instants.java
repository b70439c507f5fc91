package sellable.peers.inventory;

import java.time.DateTimeException;
import java.time.Instant;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Locale;

/** RFC 3339 texts and microseconds since the Unix epoch. Not for several threads. */
public final class Instants {
    public static final long MILLISECOND = 1_000;
    public static final long SECOND = 1_000_000;
    public static final long HOUR = 3_600 * SECOND;
    public static final long DAY = 24 * HOUR;

    private static final long FIRST = LocalDate.of(1, 1, 1).toEpochDay() * DAY;
    private static final long END = LocalDate.of(10_000, 1, 1).toEpochDay() * DAY;
    private static final int DATE_LENGTH = 10;
    private static final int SECONDS_LENGTH = 19;
    private static final int SECONDS_PER_MINUTE = 60;
    private static final int MINUTES_PER_HOUR = 60;
    private static final DateTimeFormatter WHOLE_SECONDS =
            DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss", Locale.ROOT)
                    .withZone(ZoneOffset.UTC);

    private String lastDate = "";
    private long lastDay;
    private long lastSecond = Long.MIN_VALUE;
    private String lastText = "";

    /** The instant that a text names, or Movement.NEVER when it is none. */
    public long parse(String text) {
        if (text.length() <= SECONDS_LENGTH
                || (text.charAt(10) | 0x20) != 't'
                || text.charAt(13) != ':'
                || text.charAt(16) != ':') {
            return Movement.NEVER;
        }
        int hour = twoDigits(text, 11);
        int minute = twoDigits(text, 14);
        int second = twoDigits(text, 17);
        if (!readDate(text) || bad(hour, 23) || bad(minute, 59) || bad(second, 60)) {
            return Movement.NEVER;
        }
        int at = SECONDS_LENGTH;
        long fraction = 0;
        if (text.charAt(at) == '.') {
            long unit = SECOND / 10;
            int first = ++at;
            while (at < text.length() && digit(text, at) >= 0) {
                fraction += digit(text, at++) * unit;
                unit /= 10;
            }
            if (at == first || at == text.length()) {
                return Movement.NEVER;
            }
        }
        long offsetMinutes = offset(text, at);
        if (offsetMinutes == Movement.NEVER) {
            return Movement.NEVER;
        }
        long seconds =
                ((hour * MINUTES_PER_HOUR + minute) - offsetMinutes) * SECONDS_PER_MINUTE + second;
        long instant = lastDay * DAY + seconds * SECOND + fraction;
        return instant < FIRST || instant >= END ? Movement.NEVER : instant;
    }

    /** The text of an instant, in UTC, with as many digits as it needs. */
    public String format(long instant) {
        long second = Math.floorDiv(instant, SECOND);
        long rest = instant - second * SECOND;
        if (second != lastSecond) {
            lastText = WHOLE_SECONDS.format(Instant.ofEpochSecond(second));
            lastSecond = second;
        }
        if (rest == 0) {
            return lastText + "Z";
        }
        if (rest % MILLISECOND == 0) {
            String digits = Long.toString(rest / MILLISECOND + MILLISECOND);
            return lastText + '.' + digits.substring(1) + 'Z';
        }
        return lastText + '.' + Long.toString(rest + SECOND).substring(1) + 'Z';
    }

    /** Minutes east of UTC that the rest of a text says, or NEVER. */
    private static long offset(String text, int at) {
        char mark = text.charAt(at);
        if ((mark | 0x20) == 'z') {
            return text.length() == at + 1 ? 0 : Movement.NEVER;
        }
        if ((mark != '+' && mark != '-') || text.length() != at + 6 || text.charAt(at + 3) != ':') {
            return Movement.NEVER;
        }
        int hours = twoDigits(text, at + 1);
        int minutes = twoDigits(text, at + 4);
        if (bad(hours, 23) || bad(minutes, 59)) {
            return Movement.NEVER;
        }
        long east = (long) hours * MINUTES_PER_HOUR + minutes;
        return mark == '-' ? -east : east;
    }

    /** Reads the date into `lastDay`; most movements have the date of the one before. */
    private boolean readDate(String text) {
        if (text.startsWith(lastDate) && !lastDate.isEmpty()) {
            return true;
        }
        try {
            String date = text.substring(0, DATE_LENGTH);
            lastDay = LocalDate.parse(date).toEpochDay();
            lastDate = date;
            return true;
        } catch (DateTimeException error) {
            return false;
        }
    }

    private static boolean bad(int number, int most) {
        return number < 0 || number > most;
    }

    private static int twoDigits(String text, int at) {
        int high = digit(text, at);
        int low = digit(text, at + 1);
        return high < 0 || low < 0 ? -1 : high * 10 + low;
    }

    private static int digit(String text, int at) {
        int digit = text.charAt(at) - '0';
        return digit < 0 || digit > 9 ? -1 : digit;
    }
}
