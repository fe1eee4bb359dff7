/* What an inference asks of memories that are slower than the core, simulated address by address: the caches and
 * line buffers in front of them, one set of counters for each memory and each of its two ports, code and data.
 *
 * Counts only, no cycles: what a miss costs is for tinybench/timing/memory.py to say. caches.py is the other side
 * and names every field. Unicorn calls tbc_on_block before a translated block runs and tbc_on_access at each load
 * and store inside a memory that is watched; it slows down all of them, so RAM without wait states is not watched.
 *
 * No header of Unicorn is needed: uc_reg_read comes in as a pointer.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

enum { MAX_MEMORIES = 8, MAX_CACHES = 4, MAX_PARTS = 8, SITES = 1 << 17 };
enum { UC_MEM_WRITE = 17 }; /* unicorn.h: uc_mem_type */
enum { CODE, DATA, PORTS };
enum { NOTHING = -1 };
#define NOWHERE 0xFFFFFFFFU
#define XPSR_IT 0x0600FC00U

/* An address at which something was asked for: a word of code that was missed, or an instruction that loads. */
typedef struct {
    uint32_t address;
    uint16_t memory;
    uint16_t port;
    uint64_t next;   /* the word after the one before, reached by running on */
    uint64_t jumped; /* any other */
    uint64_t asked;  /* by a load, missed or not */
} tbc_site;

typedef struct {
    uint32_t sets, ways, line_bytes, part_bytes; /* a miss fills one part of a line */
    uint32_t write_back;                         /* 1: stores allocate and stay; 0: stores go around */
    uint32_t spare;
    uint32_t *lines;    /* by set, most recently used first; NOWHERE: empty */
    uint8_t *parts;     /* bit i: part i is there */
    uint8_t *modified;
} tbc_cache;

typedef struct {
    int32_t cache;       /* NOTHING: every word comes from the memory */
    uint32_t word_bytes; /* what one read of the memory delivers; a power of two */
    uint32_t holds;      /* 1: the last word stays at hand without a cache */
    uint32_t last;       /* number of the last word, or NOWHERE */
    uint64_t asked, held, hits, next, jumped, written, write_misses, written_back;
} tbc_port;

typedef struct {
    uint32_t start, end;
    tbc_port ports[PORTS];
} tbc_memory;

/* The head is read and written from Python (caches.py mirrors it field by field). */
typedef struct {
    uint32_t memory_count, cache_count, site_count, full;
    uint32_t entry, within, return_address, spare; /* `within`: the watched function is being executed */
    uint32_t pc_after, sp;
    int32_t r13, r14, r15, xpsr;
    int32_t (*reg_read)(void *uc, int32_t id, void *value);
    int32_t (*reg_write)(void *uc, int32_t id, const void *value);
    tbc_memory memories[MAX_MEMORIES];
    tbc_cache caches[MAX_CACHES];
    tbc_site *sites;
} tbc_state;

EXPORT tbc_state *tbc_new(void) {
    tbc_state *state = calloc(1, sizeof *state);
    if (state != NULL) {
        state->sites = calloc(SITES, sizeof *state->sites);
        state->pc_after = NOWHERE;
        if (state->sites == NULL) {
            free(state);
            return NULL;
        }
    }
    return state;
}

EXPORT void tbc_free(tbc_state *state) {
    for (uint32_t i = 0; i < state->cache_count; i++) {
        free(state->caches[i].lines);
        free(state->caches[i].parts);
        free(state->caches[i].modified);
    }
    free(state->sites);
    free(state);
}

EXPORT bool tbc_add_cache(tbc_state *state, uint32_t sets, uint32_t ways, uint32_t line_bytes, uint32_t part_bytes,
                          uint32_t write_back) {
    if (state->cache_count == MAX_CACHES || line_bytes / part_bytes > MAX_PARTS) {
        return false;
    }
    const size_t lines = (size_t)sets * ways;
    tbc_cache *cache = &state->caches[state->cache_count];
    *cache = (tbc_cache){.sets = sets, .ways = ways, .line_bytes = line_bytes, .part_bytes = part_bytes,
                         .write_back = write_back};
    cache->lines = malloc(lines * sizeof *cache->lines);
    cache->parts = calloc(lines, 1);
    cache->modified = calloc(lines, 1);
    state->cache_count++; /* even if a part is missing: tbc_free frees what is there */
    if (cache->lines == NULL || cache->parts == NULL || cache->modified == NULL) {
        return false;
    }
    memset(cache->lines, 0xFF, lines * sizeof *cache->lines);
    return true;
}

EXPORT bool tbc_add_memory(tbc_state *state, uint32_t start, uint32_t end) {
    if (state->memory_count == MAX_MEMORIES) {
        return false;
    }
    tbc_memory *memory = &state->memories[state->memory_count++];
    *memory = (tbc_memory){.start = start, .end = end};
    for (uint32_t port = 0; port < PORTS; port++) {
        memory->ports[port] = (tbc_port){.cache = NOTHING, .word_bytes = 4, .last = NOWHERE};
    }
    return true;
}

EXPORT void tbc_set_port(tbc_state *state, uint32_t memory, uint32_t port, int32_t cache, uint32_t word_bytes,
                         uint32_t holds) {
    tbc_port *set = &state->memories[memory].ports[port];
    set->cache = cache;
    set->word_bytes = word_bytes;
    set->holds = holds;
}

/* Counts from zero; what the caches hold stays, as it does on a board. */
EXPORT void tbc_reset(tbc_state *state) {
    for (uint32_t i = 0; i < state->memory_count; i++) {
        for (uint32_t p = 0; p < PORTS; p++) {
            tbc_port *port = &state->memories[i].ports[p];
            port->asked = port->held = port->hits = port->next = port->jumped = 0;
            port->written = port->write_misses = port->written_back = 0;
        }
    }
    memset(state->sites, 0, SITES * sizeof *state->sites);
    state->site_count = 0;
}

static bool is_used(const tbc_site *site) { return site->next != 0 || site->jumped != 0 || site->asked != 0; }

/* Copies the addresses at which anything was asked for, at most SITES, and says how many. */
EXPORT uint32_t tbc_sites(const tbc_state *state, tbc_site *into) {
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < SITES; slot++) {
        if (is_used(&state->sites[slot])) {
            into[count++] = state->sites[slot];
        }
    }
    return count;
}

static tbc_memory *memory_at(tbc_state *state, uint32_t address) {
    for (uint32_t i = 0; i < state->memory_count; i++) {
        if (address >= state->memories[i].start && address < state->memories[i].end) {
            return &state->memories[i];
        }
    }
    return NULL;
}

static tbc_site *site_of(tbc_state *state, uint32_t address, uint32_t memory, uint32_t port) {
    uint32_t slot = (address * 2654435761U + memory * 97U + port) % SITES;
    for (uint32_t tries = 0; tries < SITES; tries++) {
        tbc_site *site = &state->sites[slot];
        const bool empty = !is_used(site);
        if (empty) {
            site->address = address;
            site->memory = (uint16_t)memory;
            site->port = (uint16_t)port;
            state->site_count++;
        }
        if (empty || (site->address == address && site->memory == memory && site->port == port)) {
            return site;
        }
        slot = (slot + 1) % SITES;
    }
    state->full = 1;
    return NULL;
}

/* Moves way `way` of a set to the front and lets it hold `line`. */
static void to_front(tbc_cache *cache, uint32_t first, uint32_t way, uint32_t line, uint8_t parts, uint8_t modified) {
    memmove(&cache->lines[first + 1], &cache->lines[first], way * sizeof *cache->lines);
    memmove(&cache->parts[first + 1], &cache->parts[first], way);
    memmove(&cache->modified[first + 1], &cache->modified[first], way);
    cache->lines[first] = line;
    cache->parts[first] = parts;
    cache->modified[first] = modified;
}

typedef struct {
    bool hit, wrote_back;
} tbc_lookup;

static tbc_lookup look_up(tbc_cache *cache, uint32_t address, bool write) {
    const uint32_t line = address / cache->line_bytes;
    const uint32_t first = line % cache->sets * cache->ways;
    const uint8_t part = (uint8_t)(1U << (address % cache->line_bytes / cache->part_bytes));
    for (uint32_t way = 0; way < cache->ways; way++) {
        if (cache->lines[first + way] == line) {
            const uint8_t parts = cache->parts[first + way];
            const uint8_t modified = cache->modified[first + way] | (write && cache->write_back);
            to_front(cache, first, way, line, parts | part, modified);
            return (tbc_lookup){.hit = (parts & part) != 0};
        }
    }
    if (write && !cache->write_back) {
        return (tbc_lookup){.hit = false};
    }
    const uint32_t last = cache->ways - 1;
    const bool wrote_back = cache->modified[first + last] != 0;
    to_front(cache, first, last, line, part, write);
    return (tbc_lookup){.hit = false, .wrote_back = wrote_back};
}

static void read_word(tbc_state *state, uint32_t index, uint32_t which, uint32_t word, bool running_on, uint32_t at) {
    tbc_port *port = &state->memories[index].ports[which];
    port->asked++;
    if (which == DATA) {
        tbc_site *load = site_of(state, at, index, which);
        if (load != NULL) {
            load->asked++;
        }
    }
    if (port->holds && port->last == word) {
        port->held++;
        return;
    }
    const bool next = running_on && port->last != NOWHERE && word == port->last + 1;
    port->last = word;
    if (port->cache != NOTHING) {
        const tbc_lookup found = look_up(&state->caches[port->cache], word * port->word_bytes, false);
        port->written_back += found.wrote_back;
        if (found.hit) {
            port->hits++;
            return;
        }
    }
    tbc_site *site = site_of(state, at, index, which);
    if (next) {
        port->next++;
    } else {
        port->jumped++;
    }
    if (site != NULL) {
        site->next += next;
        site->jumped += !next;
    }
}

static void write_word(tbc_state *state, uint32_t index, uint32_t address) {
    tbc_port *port = &state->memories[index].ports[DATA];
    port->written++;
    if (port->cache == NOTHING) {
        port->write_misses++;
        return;
    }
    const tbc_lookup found = look_up(&state->caches[port->cache], address, true);
    port->written_back += found.wrote_back;
    port->write_misses += !found.hit;
}

static void fetch(tbc_state *state, uint32_t address, uint32_t size) {
    tbc_memory *memory = memory_at(state, address);
    if (memory == NULL) {
        state->pc_after = NOWHERE;
        return;
    }
    const uint32_t index = (uint32_t)(memory - state->memories);
    const uint32_t word_bytes = memory->ports[CODE].word_bytes;
    bool running_on = address == state->pc_after;
    for (uint32_t word = address / word_bytes; word <= (address + size - 1) / word_bytes; word++) {
        read_word(state, index, CODE, word, running_on, word * word_bytes);
        running_on = true;
    }
    state->pc_after = address + size;
}

/* Only what happens between the call of the watched function and its return counts. */
static void enter_or_leave(tbc_state *state, void *uc, uint32_t address) {
    uint32_t sp = 0;
    if (address == state->entry && !state->within) {
        uint32_t lr = 0;
        state->reg_read(uc, state->r14, &lr);
        state->reg_read(uc, state->r13, &state->sp);
        state->return_address = lr & ~1U;
        state->within = 1;
    } else if (state->within && address == state->return_address) {
        state->reg_read(uc, state->r13, &sp);
        state->within = sp != state->sp;
    }
}

EXPORT void tbc_on_block(void *uc, uint64_t address, uint32_t size, void *user) {
    tbc_state *state = user;
    enter_or_leave(state, uc, (uint32_t)address);
    if (state->within && size != 0) {
        fetch(state, (uint32_t)address, size);
    }
}

/* To tell a hook where it is, Unicorn puts the core's state back to that of the instruction that loads; in an IT
 * block that includes the block's progress (EPSR, ICI/IT: Armv7-M ARM, B1.4.2). The translated code, which knows
 * its own progress, never looks at it, but the next block of code to run takes it for its own, and would skip its
 * first instructions: it has to be gone before the hook ends. */
static void leave_it_block(const tbc_state *state, void *uc) {
    uint32_t xpsr = 0;
    state->reg_read(uc, state->xpsr, &xpsr);
    if ((xpsr & XPSR_IT) != 0) {
        xpsr &= ~XPSR_IT;
        state->reg_write(uc, state->xpsr, &xpsr);
    }
}

static void access_memory(tbc_state *state, void *uc, int32_t type, uint64_t address, int32_t size) {
    tbc_memory *memory = state->within ? memory_at(state, (uint32_t)address) : NULL;
    if (memory == NULL) {
        return;
    }
    const uint32_t index = (uint32_t)(memory - state->memories);
    if (type == UC_MEM_WRITE) {
        write_word(state, index, (uint32_t)address);
        return;
    }
    const uint32_t word_bytes = memory->ports[DATA].word_bytes;
    const uint32_t last = ((uint32_t)address + (uint32_t)size - 1) / word_bytes;
    uint32_t pc = 0; /* right inside a hook of memory: Unicorn restores it from the translated code */
    state->reg_read(uc, state->r15, &pc);
    for (uint32_t word = (uint32_t)address / word_bytes; word <= last; word++) {
        read_word(state, index, DATA, word, true, pc);
    }
}

EXPORT void tbc_on_access(void *uc, int32_t type, uint64_t address, int32_t size, int64_t value, void *user) {
    (void)value;
    access_memory(user, uc, type, address, size);
    leave_it_block(user, uc);
}
