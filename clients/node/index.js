'use strict';
/* Prices out of Rialto's shared memory. The C library makes the quote; this file reads the struct that it left. */
const path = require('node:path');
const addon = require(process.env.RIALTO_ADDON || path.join(__dirname, 'build', 'rialto.node'));

const PAGE_MAX = 512;
const BASES = { store: 0, address: 1, device: 2, ip: 3 };
const RETIRED = addon.statuses.findIndex((s) => s.name === 'RETIRED');
const STATUS_BYTES = 4;
const decoder = new TextDecoder();

class RialtoError extends Error {
    constructor(status) {
        const row = addon.statuses[status];
        super(`${row.name}: ${row.text}`);
        this.name = 'RialtoError';
        this.status = row.name;
    }
}

const LITTLE = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;
const at = Object.fromEntries(addon.fields.map((f) => [f.name, f.offset]));
const room = Object.fromEntries(addon.fields.map((f) => [f.name, f.bytes]));
const named = (rows, bits) => rows.filter((r) => (bits & r.bit) !== 0).map((r) => r.name);

/* A signed 64-bit word as a number; an amount past 2^53 is past what a table may hold. */
const i64 = (view, from) => view.getInt32(from + (LITTLE ? 4 : 0), LITTLE) * 4294967296 + view.getUint32(from + (LITTLE ? 0 : 4), LITTLE);

function textAt(bytes, from, length) {
    if (bytes[from] === 0) return '';
    const end = bytes.indexOf(0, from);
    return decoder.decode(bytes.subarray(from, end < 0 || end > from + length ? from + length : end));
}

/* Currencies are few, and decoding is what costs. */
const currencies = new Map();
function currencyAt(view, bytes, from) {
    const letters = view.getUint32(from, LITTLE);
    let found = currencies.get(letters);
    if (found === undefined) currencies.set(letters, (found = textAt(bytes, from, room.currency)));
    return found;
}

class Quote {
    constructor(sku, status, view, bytes, from, handle) {
        const flags = view.getUint32(from + at.flags, LITTLE), kinds = view.getUint16(from + at.kinds, LITTLE), used = view.getUint8(from + at.used);
        this.sku = sku;
        this.status = status;
        this.amount = i64(view, from + at.amount);
        this.baseline = i64(view, from + at.baseline);
        this.list = i64(view, from + at.list);
        this.floor = i64(view, from + at.floor);
        this.ceiling = i64(view, from + at.ceiling);
        this.currency = currencyAt(view, bytes, from + at.currency);
        this.decimals = view.getUint8(from + at.decimals);
        this.flags = flags === 0 ? [] : named(addon.flags, flags);
        this.restsOn = kinds === 0 ? [] : named(addon.kinds, kinds);
        this.dataUsed = used === 0 ? [] : named(addon.kinds, used);
        this.zone = textAt(bytes, from + at.zone, room.zone);
        this.zoneLevel = view.getUint8(from + at.zone_level);
        this.asOfMs = i64(view, from + at.as_of_ms);
        this.validUntilMs = i64(view, from + at.valid_until_ms);
        this.ageMs = view.getUint32(from + at.age_ms, LITTLE);
        this.multiplierE4 = view.getUint16(from + at.multiplier_e4, LITTLE);
        this.rule = view.getUint16(from + at.rule, LITTLE);
        this.group = view.getUint8(from + at.group);
        this.disclosure = view.getUint16(from + at.disclosure, LITTLE);
        this.disclosureText = this.disclosure === 0 ? '' : addon.words(handle, this.rule, this.disclosure);
    }

    get ok() {
        return this.status === 'OK';
    }

    /** The amount for people, such as "11.40 CNY". */
    get text() {
        const digits = String(Math.abs(this.amount)).padStart(this.decimals + 1, '0'), cut = digits.length - this.decimals;
        return `${this.amount < 0 ? '-' : ''}${digits.slice(0, cut)}${this.decimals > 0 ? '.' : ''}${digits.slice(cut)} ${this.currency}`;
    }
}

class Prices {
    #folder;
    #handle;
    #one = new ArrayBuffer(addon.quoteBytes);
    #oneView = new DataView(this.#one);
    #oneBytes = new Uint8Array(this.#one);

    constructor(folder) {
        this.#folder = folder;
        this.#handle = this.#open();
    }

    #open() {
        const handle = addon.open(this.#folder);
        if (typeof handle === 'number') throw new RialtoError(handle);
        return handle;
    }

    /* Ask, and once more on new tables if these were replaced. */
    #ask(call, request, buffer, what) {
        if (this.#handle === undefined) throw new Error('these prices are closed');
        const { customer, zone, basis = 'store', currency } = request;
        const status = call(this.#handle, customer, zone, BASES[basis], currency, buffer, what);
        if (status !== RETIRED) return status;
        this.close();
        this.#handle = this.#open();
        return call(this.#handle, customer, zone, BASES[basis], currency, buffer, what);
    }

    quote(sku, request = {}) {
        const status = this.#ask(addon.quote, request, this.#one, sku);
        if (status !== 0) throw new RialtoError(status);
        return new Quote(sku, 'OK', this.#oneView, this.#oneBytes, 0, this.#handle);
    }

    page(skus, request = {}) {
        const n = skus.length, buffer = new ArrayBuffer(n * (addon.quoteBytes + STATUS_BYTES));
        const status = this.#ask(addon.page, request, buffer, skus);
        if (status !== 0) throw new RialtoError(status);
        const view = new DataView(buffer), bytes = new Uint8Array(buffer);
        return skus.map((sku, i) => {
            const own = view.getUint32(n * addon.quoteBytes + i * STATUS_BYTES, LITTLE);
            return new Quote(sku, addon.statuses[own].name, view, bytes, i * addon.quoteBytes, this.#handle);
        });
    }

    now() {
        return new Date(addon.now(this.#handle));
    }

    close() {
        if (this.#handle !== undefined) addon.close(this.#handle);
        this.#handle = undefined;
    }
}

module.exports = { Prices, Quote, RialtoError, PAGE_MAX };
