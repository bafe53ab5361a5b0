'use strict';
const { Prices, RialtoError } = require('../../clients/node');

const plain = (q) => ({
    sku: q.sku, status: q.status, amount: q.amount, baseline: q.baseline, list: q.list, floor: q.floor, ceiling: q.ceiling,
    currency: q.currency, decimals: q.decimals, flags: [...q.flags].sort(), rests_on: [...q.restsOn].sort(), data_used: [...q.dataUsed].sort(), zone: q.zone,
    level: q.zoneLevel, as_of_ms: q.asOfMs, valid_until_ms: q.validUntilMs, multiplier_e4: q.multiplierE4,
    disclosure: q.disclosure, disclosure_text: q.disclosureText, text: q.ok ? q.text : '',
});

let prices;
function answer(asked) {
    const who = { customer: asked.customer, zone: asked.zone, basis: asked.basis || 'store', currency: asked.currency };
    try {
        prices = prices || new Prices(process.argv[2]);
        return asked.skus ? prices.page(asked.skus, who).map(plain) : plain(prices.quote(asked.sku, who));
    } catch (error) {
        if (error instanceof RialtoError) return { error: error.status };
        throw error;
    }
}

require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
    process.stdout.write(JSON.stringify(answer(JSON.parse(line))) + '\n');
});
