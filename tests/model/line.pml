/* line.pml - the line protocol of cache/line.h as a model for spin: all interleavings of one writer, which may die ahead of
 * any store and be followed by a successor, and of one reader, who looks twice.
 *
 *   spin -a line.pml && gcc -O2 -DSAFETY -o pan pan.c && ./pan -m100000
 *
 * With BROKEN=n in its environment pan leaves out the store, or the check, that carries that number. The payload is three words (the upper half of
 * word 0, a, b), the segment two lines that share the side line. Spin interleaves steps as if memory were sequentially
 * consistent; what the C11 orderings allow beyond that is tried in line.c with the real code. */
#ifndef PUBLISHES
#define PUBLISHES 3
#endif
#ifndef DEATHS
#define DEATHS 2
#endif
#define ATTEMPTS 3 /* looks of a reader in all */
#define SPINS    1 /* looks before the side line is tried */
#define REF(x, even) ((x) * 64 + (even) + 1)

typedef words { byte seq, h, a, b }; /* seq and h are one word */

words line[2];
byte side_ref, side_h, side_a, side_b, side_used, used;

/* What should be: versions are numbered by attempts to publish. */
byte committed[2]; /* newest version of each line */
byte line_of[8];   /* by version: 1 + line where it was committed, 0 = it never was */
byte live;         /* the count that goes with the newest commit */
bool moved;        /* has the writer done anything since the reader began? */
byte deaths;
byte broken;

#define COMMIT(x, v) committed[x] = v; line_of[v] = x + 1; live = v

/* One store, or death ahead of it. */
#define STEP(n, what)                                                \
    atomic {                                                         \
        if                                                           \
        :: deaths < DEATHS -> deaths++; goto died                    \
        :: true                                                      \
        fi;                                                          \
        if                                                           \
        :: broken == n                                                \
        :: else -> what; moved = true                                \
        fi                                                           \
    }

proctype writer()
{
    byte x, v, even;
    bool erase, open; /* open: the line was left so by a predecessor, and nobody repaired it */

next:
    atomic {
        if
        :: v == PUBLISHES -> goto done
        :: else
        fi;
        v++;
        erase = false;
        if
        :: open
        :: !open -> x = 0
        :: !open -> x = 1
        :: !open -> x = 0; erase = true
        fi;
        even = line[x].seq - line[x].seq % 2
    }
    if
    :: line[x].seq % 2 == 0 || broken == 20 ->
        STEP(1, side_ref = 0);
        STEP(2, side_h = (erase -> v : line[x].h));
        STEP(3, side_a = (erase -> v : line[x].a));
        STEP(4, side_b = (erase -> v : line[x].b));
        STEP(5, side_used = (erase -> v : used));
        STEP(6, side_ref = REF(x, even))
    :: else
    fi;
    STEP(7, line[x].seq = even + 1; if :: erase -> COMMIT(x, v) :: else fi);
    STEP(8, line[x].a = v);
    STEP(9, line[x].b = v);
    STEP(10, used = v);
    STEP(11, line[x].seq = (broken == 19 -> even : even + 2); line[x].h = v; COMMIT(x, v));
    open = false;
    goto check;

died: /* is there a successor, and does it repair? */
    atomic {
        open = line[x].seq % 2;
        if
        :: goto done
        :: true
        :: open -> goto next
        fi;
        if
        :: side_ref == 0 -> goto check
        :: else -> x = (side_ref - 1) / 64
        fi;
        if
        :: line[x].seq % 2 == 0 || side_ref != REF(x, line[x].seq - 1) -> goto check
        :: else
        fi
    }
    STEP(12, line[x].a = side_a);
    STEP(13, line[x].b = side_b);
    STEP(14, used = side_used);
    STEP(15, line[x].seq = (broken == 18 -> line[x].seq - 1 : line[x].seq + 1); line[x].h = side_h);

check: /* at rest */
    atomic {
        open = false;
        assert(line[0].seq % 2 == 0 && line[1].seq % 2 == 0);
        assert(line[0].h == committed[0] && line[0].a == committed[0] && line[0].b == committed[0]);
        assert(line[1].h == committed[1] && line[1].a == committed[1] && line[1].b == committed[1]);
        assert(used == live)
    }
    goto next;
done:
    skip
}

proctype reader()
{
    byte reads, looks, before, h, a, b, oldest;

again:
    atomic {
        oldest = (committed[0] > oldest -> committed[0] : oldest);
        moved = false;
        looks = 0
    }
    do
    :: looks == ATTEMPTS -> assert(moved); goto end /* busy: only beside a writer that goes on */
    :: else ->
        atomic { before = line[0].seq; h = line[0].h };
        if
        :: before % 2 == 0 ->
            a = line[0].a;
            b = line[0].b;
            if
            :: (line[0].seq == before && line[0].h == h) || broken == 16 -> break
            :: else
            fi
        :: before % 2 == 1 && looks >= SPINS ->
            if
            :: side_ref == REF(0, before - 1) ->
                h = side_h;
                a = side_a;
                b = side_b;
                if
                :: side_ref == REF(0, before - 1) || broken == 17 -> break
                :: else
                fi
            :: else
            fi
        :: else
        fi;
        looks++
    od;
    atomic {
        assert(a == b && a == h);
        assert(a == 0 || line_of[a] == 1);
        assert(a >= oldest);
        oldest = a;
        reads++
    }
    if
    :: reads < 2 -> goto again
    :: else
    fi;
end:
    skip
}

init
{
    c_code { now.broken = getenv("BROKEN") == 0 ? 0 : (uchar)atoi(getenv("BROKEN")); };
    atomic {
        run writer();
        run reader()
    }
}
