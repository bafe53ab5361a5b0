#!/bin/sh
# keys.sh - at a first start: a password for Redis, and tokens for the sample shop and for people, made here and shipped nowhere.
#
#   keys.sh DIR
#
#   DIR/redis/users.acl    for Redis: who may do what; of the password it holds the SHA-256
#   DIR/rialto/password    for Rialto: the password          DIR/rialto/tokens   whose tokens it takes: their SHA-256
#   DIR/shop/token         for the shop: its token
#   DIR/people/admin       for pricing people: a token that opens the console and changes prices
#   DIR/people/producer    for whoever sends signals over HTTP: a token that may that, and no more
#   DIR/people/tokens      further lines for the list of tokens (role, name, SHA-256), if there is such a file
#
# Secrets that are there stay. The list of rights is written anew each time: it comes with the version of Rialto.
set -eu
dir=$1
umask 027

secret() { head -c 32 /dev/urandom | base64 | tr +/ -_ | tr -d '=\n'; }
hash_of() { tr -d '\n' < "$1" | sha256sum | cut -d' ' -f1; }
# put FILE - what comes in, whole or not at all
put() { cat > "$1.new" && mv "$1.new" "$1"; }

[ -s "$dir/rialto/password" ] || secret | put "$dir/rialto/password"
[ -s "$dir/shop/token" ] || secret | put "$dir/shop/token"
for who in admin producer; do [ -s "$dir/people/$who" ] || secret | put "$dir/people/$who"; done
{
    printf 'shop sample-shop %s\n' "$(hash_of "$dir/shop/token")"
    for who in admin producer; do printf '%s %s %s\n' $who $who "$(hash_of "$dir/people/$who")"; done
    if [ -s "$dir/people/tokens" ]; then cat "$dir/people/tokens"; fi
} | put "$dir/rialto/tokens"

# The commands that Rialto sends and no others, on its own keys. Nobody can be `default`; but Redis reads its append-only file with
# the rights of that user, and drops what they forbid. Whoever has no password may ask whether Redis lives.
put "$dir/redis/users.acl" << END
user default off resetpass ~* &* +@all
user health on nopass nocommands +ping
user rialto on #$(hash_of "$dir/rialto/password") ~rialto:* nocommands +auth +ping +info +client|setname +config|get +multi +exec +get +set +setnx +append +del +rename +type +hset +hdel +hlen +hscan +hkeys +pttl +pexpire +scan +zadd +zcard +zrangebylex +xadd +xrange +xrevrange +xdel
END
