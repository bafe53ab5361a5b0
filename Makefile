# Rialto - prices for every customer, kept ready in shared memory.   `make help` lists what can be made.
#
#   build/VARIANT/obj   objects and internal archives      build/VARIANT/bin   programs
#   build/VARIANT/lib   librialto                          build/bin, build/lib -> release
#
# A new .c file in a folder below is found by itself; nothing is listed twice. Packages: docker/packages.list.

VERSION := 0.1.0
SONAME  := librialto.so.0
VERIFY_SONAME := librialto-verify.so.0

# What librialto is made of. It reads shared memory and needs nothing but the C library; the link checks that.
LIB_SRC := $(wildcard $(addprefix cache/,status.c keys.c zone_path.c folder.c reader.c page.c follow.c money_text.c bindings.c) \
                      $(addprefix pricing/,quote.c money.c))

# librialto-verify checks what was signed, anywhere: libsodium, and nothing else of Rialto.
VERIFY_SRC := $(wildcard verify/*.c)

# ---- variants -----------------------------------------------------------------------------------------------------

VARIANT ?= release
HARDEN  := -D_FORTIFY_SOURCE=2 -fstack-protector-strong
SAN     := -O1 -fno-omit-frame-pointer -fno-sanitize-recover=all

CC.release    := gcc
CC.clang      := clang
CC.asan       := gcc
CC.tsan       := gcc
CC.fuzz       := clang
FLAGS.release := -O2 $(HARDEN)
FLAGS.clang   := -O2 -Wenum-enum-conversion $(HARDEN)
FLAGS.asan    := $(SAN) -fsanitize=address,undefined
FLAGS.tsan    := $(SAN) -fsanitize=thread
FLAGS.fuzz    := $(SAN) -fsanitize=fuzzer-no-link,address,undefined
JEMALLOC.release := -Wl,--no-as-needed -ljemalloc -Wl,--as-needed
JEMALLOC.clang   := $(JEMALLOC.release)
CALLOC.release   := service/calloc.c
CALLOC.clang     := $(CALLOC.release)
$(if $(CC.$(VARIANT)),,$(error VARIANT=$(VARIANT) is none of: release clang asan tsan fuzz))

BUILD    := build/$(VARIANT)
CC       := $(CC.$(VARIANT))
CPPFLAGS := -D_GNU_SOURCE -Iinclude -I. -DRIALTO_VERSION='"$(VERSION)"'
CFLAGS   := -std=c17 -g -fPIC -fvisibility=hidden -Wall -Wextra -Wpedantic -Wconversion -Wshadow \
            -Wstrict-prototypes -Wmissing-prototypes -Werror $(FLAGS.$(VARIANT)) $(EXTRA_CFLAGS)
LDFLAGS  := $(FLAGS.$(VARIANT)) -Wl,--as-needed -Wl,-z,relro,-z,now
LDLIBS   := -lhiredis -lnng -lcjson -lmicrohttpd -lsodium -lcsv -lz -lm -lpthread

JOBS ?= $(shell nproc)
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(JOBS) --no-print-directory
endif

# ---- packages: installed before the first compilation, and only when something is missing ---------------------------

GROUPS.run   := run
GROUPS.test  := run test bench
GROUPS.units := test
GROUPS.race  := test
GROUPS.fuzz  := test
GROUPS.bench := run bench
GROUPS.soak  := run test bench soak
GROUPS := build $(sort $(foreach goal,$(MAKECMDGOALS),$(GROUPS.$(goal))))
empty  :=
SETUP  := build/setup/$(subst $(empty) ,+,$(GROUPS))

# ---- what is built from what ----------------------------------------------------------------------------------------

objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
others  = $(filter-out %/main.c service/calloc.c,$(wildcard $(1:%=%/*.c)))

# What computes and writes prices is compiled file by file and then once more as a whole: what is called once for each price lies in other files.
HOT_SRC := pricing/chain.c pricing/curve.c pricing/factor.c pricing/guardrails.c pricing/price.c pricing/price_memory.c cache/table.c service/gather.c \
           service/lines.c service/lines_cell.c service/past.c service/reprice.c service/state.c service/state_journal.c
HOT      := $(if $(filter release,$(VARIANT)),$(BUILD)/obj/hot.o)

CORE  := $(BUILD)/obj/core.a
DEMO  := $(BUILD)/obj/demo.a
CLI   := $(BUILD)/obj/cli.a
BENCH := $(BUILD)/obj/bench.a

UNIT_SRC := $(filter-out tests/race/% tests/random/% tests/fuzz/% tests/e2e/% tests/fault/%,$(wildcard tests/*/test_*.c))
RACE_SRC := $(wildcard tests/race/*.c tests/random/*.c)
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
EXAMPLE_SRC := $(wildcard examples/*.c)
ALL_SRC  := $(wildcard pricing/*.c cache/*.c verify/*.c service/*.c cli/*.c demo/*.c bench/*.c web/shop/*.c tests/*/*.c) $(EXAMPLE_SRC)

PROGRAMS := $(addprefix $(BUILD)/bin/,$(if $(wildcard service/main.c),rialtod) $(if $(wildcard cli/main.c),rialto) \
              $(if $(wildcard demo/main.c),rialto-demo) $(if $(wildcard bench/main.c),rialto-bench) \
              $(if $(wildcard web/shop/main.c),rialto-shop))
EXAMPLES := $(if $(LIB_SRC),$(EXAMPLE_SRC:%.c=$(BUILD)/%))
LIBRARY  := $(if $(LIB_SRC),$(addprefix $(BUILD)/lib/,librialto.so librialto.a librialto-verify.so librialto-verify.a))
SHARED   := $(BUILD)/lib/librialto.so.$(VERSION)
VERIFY   := $(BUILD)/lib/librialto-verify.so.$(VERSION)

.DEFAULT_GOAL := all
.PHONY: all run test test-compose units race fuzz bench soak install uninstall format check-format clean help FORCE
.DELETE_ON_ERROR:
.SECONDARY:
Q   := $(if $(V),,@)
say  = @printf '  %-5s %s\n' $(1) $(or $(2),$@)

all: $(PROGRAMS) $(LIBRARY) $(EXAMPLES) $(if $(filter release,$(VARIANT)),build/bin build/lib) ## build programs and library (VARIANT=release clang asan tsan)

build/bin build/lib: | $(SETUP)
	@mkdir -p build/release/$(@F) && ln -sfn release/$(@F) $@

build/setup/%: docker/packages.list docker/setup.sh $(wildcard /var/lib/dpkg/status)
	@docker/setup.sh $(subst +, ,$*)
	@mkdir -p $(@D) && touch $@

$(BUILD)/obj/%.o: %.c $(BUILD)/flags | $(SETUP)
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/obj/service/web_openapi.o: web/openapi.json
$(BUILD)/obj/web/shop/exchange.o: web/shop/index.html web/shop/shop.css web/shop/shop.js
$(BUILD)/obj/web/shop/customers.o: web/shop/customers.json
$(BUILD)/obj/service/web_console.o: $(wildcard web/console/*)

# Changed flags rebuild everything, unchanged flags nothing; a removed source makes the archives anew.
$(BUILD)/flags: NOW = $(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $(LDLIBS)
$(BUILD)/sources: NOW = $(sort $(ALL_SRC)) lib: $(LIB_SRC)
$(BUILD)/flags $(BUILD)/sources: FORCE
	@mkdir -p $(@D); printf '%s\n' '$(subst ','\'',$(NOW))' | cmp -s - $@ || printf '%s\n' '$(subst ','\'',$(NOW))' > $@

$(CORE): $(call objects,$(filter-out $(if $(HOT),$(HOT_SRC)),$(call others,pricing cache service verify))) $(HOT)
$(HOT): $(call objects,$(HOT_SRC))
	$(call say,LINK)
	$(Q)$(CC) -O2 -flto=auto -r -flinker-output=nolto-rel -nostdlib -o $@ $^
$(if $(HOT),$(call objects,$(HOT_SRC))): CFLAGS += -flto -ffat-lto-objects

$(DEMO): $(call objects,$(call others,demo))
$(CLI): $(call objects,$(call others,cli))
$(BENCH): $(call objects,$(call others,bench))
$(CORE) $(DEMO) $(CLI) $(BENCH): $(BUILD)/sources | $(SETUP)
	@mkdir -p $(@D); rm -f $@
	$(Q)ar rcs $@ $(filter %.o,$^)

$(BUILD)/bin/rialtod:      $(call objects,service/main.c $(CALLOC.$(VARIANT))) $(CORE)
$(BUILD)/bin/rialtod $(BUILD)/bin/rialto-bench: ALLOCATOR := $(JEMALLOC.$(VARIANT))
$(BUILD)/bin/rialto:       $(call objects,cli/main.c) $(CLI) $(DEMO) $(CORE)
$(BUILD)/bin/rialto-demo:  $(call objects,demo/main.c) $(DEMO) $(CORE)
$(BUILD)/bin/rialto-bench: $(call objects,bench/main.c) $(BENCH) $(CLI) $(DEMO) $(CORE)
$(BUILD)/bin/rialto-bench: PEERS := -llmdb
$(BUILD)/bin/%: | $(SETUP)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o %.a,$^) $(ALLOCATOR) $(PEERS) $(LDLIBS)

# The sample shop sees what a stranger sees: the public headers and the library.
$(BUILD)/bin/rialto-shop: $(call objects,$(wildcard web/shop/*.c)) $(LIBRARY) $(BUILD)/sources | $(SETUP)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) -L$(BUILD)/lib -lrialto -Wl,-rpath,'$$ORIGIN/../lib' -lmicrohttpd -lcjson -lpthread

# ---- librialto: only what RIALTO_API marks is visible, in the archive too ---------------------------------------------

$(SHARED): $(call objects,$(LIB_SRC)) $(BUILD)/sources
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(LDFLAGS) -shared -Wl,-soname,$(SONAME) -Wl,-z,defs -o $@ $(filter %.o,$^)

$(BUILD)/lib/librialto.so: $(SHARED)
	@ln -sfn $(notdir $(SHARED)) $(BUILD)/lib/$(SONAME) && ln -sfn $(SONAME) $@

$(BUILD)/lib/librialto.a: $(call objects,$(LIB_SRC)) $(BUILD)/sources
	@mkdir -p $(@D); rm -f $@
	$(call say,LINK)
	$(Q)$(CC) -r -nostdlib -o $(BUILD)/obj/librialto.o $(filter %.o,$^)
	$(Q)objcopy --localize-hidden $(BUILD)/obj/librialto.o
	$(Q)ar rcs $@ $(BUILD)/obj/librialto.o

$(VERIFY): $(call objects,$(VERIFY_SRC)) $(BUILD)/sources
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(LDFLAGS) -shared -Wl,-soname,$(VERIFY_SONAME) -Wl,-z,defs -o $@ $(filter %.o,$^) -lsodium

$(BUILD)/lib/librialto-verify.so: $(VERIFY)
	@ln -sfn $(notdir $(VERIFY)) $(BUILD)/lib/$(VERIFY_SONAME) && ln -sfn $(VERIFY_SONAME) $@

$(BUILD)/lib/librialto-verify.a: $(call objects,$(VERIFY_SRC)) $(BUILD)/sources
	@mkdir -p $(@D); rm -f $@
	$(Q)ar rcs $@ $(filter %.o,$^)

# Examples see what a stranger sees: the public headers and the library.
$(BUILD)/examples/%: examples/%.c $(LIBRARY) $(BUILD)/flags | $(SETUP)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) -Iinclude $(filter-out -fvisibility=hidden,$(CFLAGS)) $(LDFLAGS) -MMD -MP -MF $(BUILD)/obj/$*.example.d \
	    -o $@ $< -L$(BUILD)/lib -lrialto -Wl,-rpath,'$$ORIGIN/../lib'

# ---- test programs; tests/run.sh drives them --------------------------------------------------------------------------

units: $(if $(UNIT_SRC),$(BUILD)/tests/units)
race:  $(RACE_SRC:%.c=$(BUILD)/%)
fuzz:  $(FUZZ_SRC:%.c=$(BUILD)/%)

# nanomsg stands ahead of nng: both have nn_* functions, and Criterion needs nanomsg's.
$(BUILD)/tests/units: $(call objects,$(UNIT_SRC)) $(CLI) $(DEMO) $(CORE) $(BUILD)/sources
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o %.a,$^) -Wl,--no-as-needed -lnanomsg -Wl,--as-needed -lnng -lcriterion $(LDLIBS)

$(RACE_SRC:%.c=$(BUILD)/%): $(BUILD)/%: $(BUILD)/obj/%.o $(CLI) $(DEMO) $(CORE)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o %.a,$^) $(LDLIBS)

$(BUILD)/tests/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(CLI) $(DEMO) $(CORE)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $(filter %.o %.a,$^) $(LDLIBS)

# ---- what people ask for ----------------------------------------------------------------------------------------------

SECONDS ?= 60
MINUTES ?= 30

run: all | $(SETUP) ## the demonstration on recorded data (ONCE=1 ends by itself, SECONDS=60)
	@exec build/bin/rialto-demo --data run --seconds $(SECONDS) $(if $(ONCE),--once)

test: | $(SETUP) ## all tests (STAGES="units-release e2e-release" for some; tests/run.sh -l lists them)
	@exec tests/run.sh $(STAGES)

test-compose: | $(SETUP) ## only the Docker Compose test
	@exec tests/run.sh compose

bench: all | $(SETUP) ## quotes beside LMDB, Redis, memcached; results are kept in run/bench (ARGS="..." are handed on)
	@mkdir -p run && exec build/bin/rialto-bench quote --history run/bench $(ARGS)

soak: | $(SETUP) ## a million random histories, models, races, faults and fuzzing over and over (MINUTES=30; docs/proof.md)
	@exec tests/run.sh -m $(MINUTES) units-valgrind random bits churn model race-release race-tsan fault fuzz

# ---- install ------------------------------------------------------------------------------------------------------------

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCDIR ?= $(PREFIX)/include
SHAREDIR ?= $(PREFIX)/share
MAN := $(wildcard docs/man/*.[1-8])
DATA := $(shell find models -name '*.json' 2>/dev/null) $(wildcard docker/rialto.json examples/*.ndjson) $(wildcard demo/data/*) \
        $(shell find clients -type f -not -path '*/build/*' -not -name '*.pyc' 2>/dev/null)

define PKGCONFIG
prefix=$(PREFIX)
libdir=$(LIBDIR)
includedir=$(INCDIR)

Name: rialto
Description: What a customer pays, read from shared memory
Version: $(VERSION)
Cflags: -I$${includedir}
Libs: -L$${libdir} -lrialto
endef
export PKGCONFIG

install: all ## programs, library, headers, models, manual pages (DESTDIR=, PREFIX=/usr/local)
	install -d $(addprefix $(DESTDIR),$(BINDIR) $(LIBDIR)/pkgconfig $(INCDIR)/rialto $(SHAREDIR)/rialto)
	install -m 755 $(PROGRAMS) $(DESTDIR)$(BINDIR)
	$(if $(LIBRARY),install -m 644 $(SHARED) $(VERIFY) $(BUILD)/lib/librialto.a $(BUILD)/lib/librialto-verify.a $(DESTDIR)$(LIBDIR))
	$(if $(LIBRARY),ln -sfn $(notdir $(VERIFY)) $(DESTDIR)$(LIBDIR)/$(VERIFY_SONAME) && ln -sfn $(VERIFY_SONAME) $(DESTDIR)$(LIBDIR)/librialto-verify.so)
	$(if $(LIBRARY),ln -sfn $(notdir $(SHARED)) $(DESTDIR)$(LIBDIR)/$(SONAME) && ln -sfn $(SONAME) $(DESTDIR)$(LIBDIR)/librialto.so)
	install -m 644 $(wildcard include/rialto/*.h) $(DESTDIR)$(INCDIR)/rialto
	@printf '%s\n' "$$PKGCONFIG" > $(DESTDIR)$(LIBDIR)/pkgconfig/rialto.pc
	@printf '%s\n' "$$PKGCONFIG" | sed -e 's/^Name: .*/Name: rialto-verify/' -e 's/-lrialto/-lrialto-verify/' -e 's/^Description: .*/Description: Price locks and receipts, checked offline/' \
	    -e '/^Libs:/a Libs.private: -lsodium' > $(DESTDIR)$(LIBDIR)/pkgconfig/rialto-verify.pc
	@for f in $(DATA); do install -D -m 644 $$f $(DESTDIR)$(SHAREDIR)/rialto/$${f#docker/}; done
	@for f in $(MAN); do install -D -m 644 $$f $(DESTDIR)$(SHAREDIR)/man/man$${f##*.}/$${f##*/}; done

uninstall: ## take away what install put there
	rm -f $(addprefix $(DESTDIR)$(BINDIR)/,rialtod rialto rialto-demo rialto-bench rialto-shop)
	rm -f $(addprefix $(DESTDIR)$(LIBDIR)/,librialto.so $(SONAME) $(notdir $(SHARED)) librialto.a pkgconfig/rialto.pc \
	    librialto-verify.so $(VERIFY_SONAME) $(notdir $(VERIFY)) librialto-verify.a pkgconfig/rialto-verify.pc)
	rm -rf $(DESTDIR)$(INCDIR)/rialto $(DESTDIR)$(SHAREDIR)/rialto
	@for f in $(MAN); do rm -f $(DESTDIR)$(SHAREDIR)/man/man$${f##*.}/$${f##*/}; done

# ---- upkeep -------------------------------------------------------------------------------------------------------------

FORMATTED := $(ALL_SRC) $(wildcard include/rialto/*.h pricing/*.h cache/*.h service/*.h cli/*.h demo/*.h bench/*.h web/shop/*.h tests/*/*.h)

format: ## lay out the sources as .clang-format says
	@docker/setup.sh format
	clang-format -i $(FORMATTED)

check-format: ## say which sources are laid out otherwise
	@docker/setup.sh format
	clang-format --dry-run --Werror $(FORMATTED)

clean: ## remove build/ (the demonstration's data in run/ stay)
	rm -rf build

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r t w; do printf '  make %-14s %s\n' "$$t" "$$w"; done

-include $(patsubst %.c,$(BUILD)/obj/%.d,$(ALL_SRC)) $(wildcard $(BUILD)/obj/*.example.d)
