// The price of a product for a customer:  node example.js anna milk-1l
const { Prices } = require('rialto-prices');

const [customer, ...skus] = process.argv.slice(2);
for (const quote of new Prices().page(skus, { customer })) {
    console.log(`${customer} pays ${quote.ok ? quote.text : quote.status} for ${quote.sku}`);
}
