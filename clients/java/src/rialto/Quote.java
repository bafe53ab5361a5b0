package rialto;

import java.util.Set;

/**
 * What a customer pays for one product. Amounts are minor units of the currency, times Unix milliseconds.
 *
 * @param status "OK", or why there is no price: then every amount is 0
 * @param baseline what anybody without personal data in play pays there
 * @param restsOn kinds of personal data that the amount rests on
 * @param zone the zone whose price this is; "" is the world
 * @param validUntilMs 0: until something changes
 * @param disclosure code of the policy in force, where personal data were read; 0: none
 * @param dataUsed kinds of personal data that were read for it, whether they moved it or not
 * @param disclosureText words of the disclosure, to be said beside the price; "": none
 */
public record Quote(String sku, String status, long amount, long baseline, long list, long floor, long ceiling, String currency,
        int decimals, Set<String> flags, Set<String> restsOn, String zone, int zoneLevel, long asOfMs, long validUntilMs, long ageMs,
        int multiplierE4, int rule, int group, int disclosure, Set<String> dataUsed, String disclosureText) {

    public boolean ok() {
        return status.equals("OK");
    }

    /** The amount for people, such as "11.40 CNY". */
    public String text() {
        return java.math.BigDecimal.valueOf(amount, decimals).toPlainString() + " " + currency;
    }
}
