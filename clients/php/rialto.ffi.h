#define FFI_SCOPE "RIALTO"
#define FFI_LIB "librialto.so.0"
struct rialto_request { const char *customer; const char *zone; int basis; const char *currency; };
struct rialto_field { const char *name; uint32_t offset; uint16_t bytes; char kind; };
struct rialto_bit { const char *name; uint32_t bit; };
int rialto_open(const char *folder, void **ret);
void rialto_close(void *r);
int rialto_quote(const void *r, const struct rialto_request *request, const char *sku, void *ret);
int rialto_quote_page(const void *r, const struct rialto_request *request, size_t n, const char **sku, void *ret, int *ret_status);
int64_t rialto_now_ms(const void *r);
size_t rialto_money_text(int64_t amount, const char *currency, uint8_t decimals, size_t n, char *ret);
size_t rialto_disclosure_text(const void *r, uint16_t rule, uint16_t disclosure, size_t n, char *ret);
const char *rialto_status_text(int status);
const char *rialto_status_name(int status);
const struct rialto_field *rialto_quote_fields(void);
const struct rialto_bit *rialto_flag_names(void);
const struct rialto_bit *rialto_kind_names(void);
