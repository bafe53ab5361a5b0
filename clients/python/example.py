# The price of a product for a customer:  python3 example.py anna milk-1l
import sys

import rialto

customer, *skus = sys.argv[1:]
for quote in rialto.Prices().page(skus, customer=customer):
    print(f"{customer} pays {quote.text if quote.ok else quote.status} for {quote.sku}")
