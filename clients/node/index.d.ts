/** What the zone of a request rests on: the store visited, an address typed, or location data, which needs consent. */
export type Basis = 'store' | 'address' | 'device' | 'ip';

export interface Request {
    /** Nobody in particular without it: the baseline. */
    customer?: string;
    /** The customer's own if their terms hold one, else the world. */
    zone?: string;
    basis?: Basis;
    /** ISO 4217 letters: prices in others are no answer. */
    currency?: string;
}

export type Flag = 'ANONYMOUS' | 'PERSONAL' | 'OFFER' | 'LOCK' | 'STALE' | 'WIDER_ZONE' | 'BOUNDED' | 'GUARDED' | 'IGNORED_ZONE' | 'LIST_MODE' | 'DEMO' | 'NEUTRAL' | 'SUPERSEDED' | 'STARTING';
export type Kind = 'location' | 'behaviour' | 'purchases' | 'profile' | 'partner';

/** What a customer pays for one product. Amounts are whole numbers of minor units; times are Unix milliseconds. */
export declare class Quote {
    readonly sku: string;
    /** "OK", or why there is no price: then every amount is 0. */
    readonly status: string;
    readonly ok: boolean;
    readonly amount: number;
    /** What anybody without personal data in play pays there. */
    readonly baseline: number;
    readonly list: number;
    readonly floor: number;
    readonly ceiling: number;
    readonly currency: string;
    readonly decimals: number;
    /** The amount for people: "11.40 CNY". */
    readonly text: string;
    readonly flags: Flag[];
    /** Kinds of personal data that the amount rests on. */
    readonly restsOn: Kind[];
    /** Kinds of personal data that were read for it, whether they moved it or not: where there are any, the disclosure holds. */
    readonly dataUsed: Kind[];
    /** "" is the world. */
    readonly zone: string;
    readonly zoneLevel: number;
    readonly asOfMs: number;
    /** 0: until something changes. */
    readonly validUntilMs: number;
    readonly ageMs: number;
    readonly multiplierE4: number;
    readonly rule: number;
    readonly group: number;
    /** Code of the policy in force, where personal data were read; 0: none. */
    readonly disclosure: number;
    /** Its words, to be said beside the price; "": none. */
    readonly disclosureText: string;
}

/** status is the library's name for it, such as "UNKNOWN_PRODUCT" or "NO_CACHE". */
export declare class RialtoError extends Error {
    readonly status: string;
}

/** Most products of a page. */
export declare const PAGE_MAX: number;

/** A cache folder, mapped read-only. Opens the tables anew by itself when the service has replaced them. One per thread. */
export declare class Prices {
    /** Without a folder: $RIALTO_CACHE, else /dev/shm/rialto. Throws RialtoError while there are no tables. */
    constructor(folder?: string);
    /** The price of one product; throws RialtoError where there is none. */
    quote(sku: string, request?: Request): Quote;
    /** The prices of up to 512 products for one customer, in the same order, each with a status of its own. */
    page(skus: string[], request?: Request): Quote[];
    /** Service time: what expiries are measured against. */
    now(): Date;
    close(): void;
}
