import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import rialto.*;

/** As driver.py. Java brings no JSON: questions are read by a pattern, all their values being strings or one list of strings. */
public class Driver {
    private static final Pattern STRING = Pattern.compile("\"((?:[^\"\\\\]|\\\\.)*)\"");

    private static String unescape(String s) {
        StringBuilder out = new StringBuilder();
        for (int i = 0; i < s.length(); i++) {
            char c = s.charAt(i);
            if (c != '\\') {
                out.append(c);
            } else if (s.charAt(++i) == 'u') {
                out.append((char) Integer.parseInt(s.substring(i + 1, i + 5), 16));
                i += 4;
            } else {
                out.append(s.charAt(i));
            }
        }
        return out.toString();
    }

    private static List<String> strings(String in) {
        return STRING.matcher(in).results().map((MatchResult r) -> unescape(r.group(1))).toList();
    }

    private static String value(String line, String key) {
        var found = Pattern.compile("\"" + key + "\": \"((?:[^\"\\\\]|\\\\.)*)\"").matcher(line);
        return found.find() ? unescape(found.group(1)) : null;
    }

    private static String text(String s) {
        return "\"" + s.replace("\\", "\\\\").replace("\"", "\\\"").replace("\0", "\\u0000") + "\"";
    }

    private static String list(Iterable<String> of) {
        return "[" + String.join(",", new TreeSet<>(java.util.stream.StreamSupport.stream(of.spliterator(), false).map(Driver::text).toList())) + "]";
    }

    private static String plain(Quote q) {
        return "{\"sku\":" + text(q.sku()) + ",\"status\":" + text(q.status()) + ",\"amount\":" + q.amount() + ",\"baseline\":"
                + q.baseline() + ",\"list\":" + q.list() + ",\"floor\":" + q.floor() + ",\"ceiling\":" + q.ceiling() + ",\"currency\":"
                + text(q.currency()) + ",\"decimals\":" + q.decimals() + ",\"flags\":" + list(q.flags()) + ",\"rests_on\":"
                + list(q.restsOn()) + ",\"data_used\":" + list(q.dataUsed()) + ",\"zone\":" + text(q.zone()) + ",\"level\":" + q.zoneLevel() + ",\"as_of_ms\":" + q.asOfMs()
                + ",\"valid_until_ms\":" + q.validUntilMs() + ",\"multiplier_e4\":" + q.multiplierE4() + ",\"disclosure\":"
                + q.disclosure() + ",\"disclosure_text\":" + text(q.disclosureText()) + ",\"text\":" + text(q.ok() ? q.text() : "") + "}";
    }

    private static Prices prices;

    private static String answer(String line, String folder) {
        String basis = value(line, "basis");
        Request who = new Request(value(line, "customer"), value(line, "zone"),
                basis == null ? null : Request.Basis.valueOf(basis.toUpperCase()), value(line, "currency"));
        int page = line.indexOf("\"skus\": [");
        try {
            prices = prices != null ? prices : new Prices(folder);
            if (page < 0) {
                return plain(prices.quote(value(line, "sku"), who));
            }
            List<String> skus = strings(line.substring(page + 8, line.indexOf(']', page)));
            return "[" + String.join(",", prices.page(skus, who).stream().map(Driver::plain).toList()) + "]";
        } catch (RialtoException e) {
            return "{\"error\":" + text(e.status) + "}";
        }
    }

    public static void main(String[] args) throws Exception {
        var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        var out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            out.println(answer(line, args[0]));
        }
    }
}
