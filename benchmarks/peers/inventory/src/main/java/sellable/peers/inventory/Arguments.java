package sellable.peers.inventory;

import java.util.HashMap;
import java.util.Map;

/** Words of a command line that come in pairs: `--name value`. */
public final class Arguments {
    private final Map<String, String> values = new HashMap<>();

    public Arguments(String[] words) {
        if (words.length % 2 != 0) {
            throw new IllegalArgumentException("options and values must come in pairs");
        }
        for (int index = 0; index < words.length; index += 2) {
            values.put(words[index], words[index + 1]);
        }
    }

    public String text(String name) {
        String value = values.get("--" + name);
        if (value == null) {
            throw new IllegalArgumentException("--" + name + " is missing");
        }
        return value;
    }

    public long number(String name) {
        return Long.parseLong(text(name));
    }
}
