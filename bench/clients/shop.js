'use strict';
// As shop.py.
const { Prices } = require('../../clients/node');

const [folder, products, seconds] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const prices = new Prices(folder), now = process.hrtime.bigint;
let state = 1, wrong = 0;

function draw() {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >> 8) % products;
}
const name = (number) => 'sku-' + String(number).padStart(6, '0');

function measure(ask) {
    const ticks = [], end = now() + BigInt(Math.round(seconds * 1e9));
    while (now() < end) ticks.push(ask());
    ticks.sort((a, b) => a - b);
    return [ticks[ticks.length >> 1], ticks[Math.floor(ticks.length * 0.99)], ticks.length];
}

function one() {
    const number = draw(), sku = name(number);
    const began = now(), amount = prices.quote(sku, { customer: 'anna' }).amount, took = Number(now() - began);
    if (amount !== 1000 + number) wrong++;
    return took;
}

function page() {
    const numbers = Array.from({ length: 50 }, draw), skus = numbers.map(name);
    const began = now(), amounts = prices.page(skus, { customer: 'anna' }).map((q) => q.amount), took = Number(now() - began);
    if (amounts.some((amount, i) => amount !== 1000 + numbers[i])) wrong++;
    return took;
}

for (let i = 0; i < 20000; i++) one(); // until it is compiled
for (let i = 0; i < 1000; i++) page();
const [one50, one99, count] = measure(one), [page50, page99] = measure(page);
console.log(one50, one99, page50, page99, count, wrong);
