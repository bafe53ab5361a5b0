package rialto;

/**
 * For whom and where. Every member may be null: nobody in particular, the customer's own zone or the world, any currency.
 *
 * @param basis what the zone rests on; DEVICE and IP are location data and count only with consent
 * @param currency ISO 4217 letters: prices in others are no answer
 */
public record Request(String customer, String zone, Basis basis, String currency) {
    public enum Basis { STORE, ADDRESS, DEVICE, IP }

    public Request {
        basis = basis == null ? Basis.STORE : basis;
    }

    public static Request of(String customer) {
        return new Request(customer, null, null, null);
    }

    public Request in(String zone) {
        return new Request(customer, zone, basis, currency);
    }
}
