/* The block hook of the virtual boards: counts what is executed, and decides at each block whether to stop.
 *
 * Unicorn calls tbp_on_block before a translated block runs, tbp_on_tlb when a page is touched for the first
 * time and tbp_on_device before a device register is touched. A Python callback costs a microsecond; this
 * costs a few nanoseconds. profile_python.py does the same in Python and must give the same numbers: change
 * both, the tests compare them.
 *
 * No header of Unicorn is needed: its functions come in as pointers (unicorn.h: uc_emu_stop, uc_reg_read,
 * uc_reg_write, uc_mem_read; uc_ctl with UC_CTL_TB_REMOVE_CACHE).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

enum { MAX_FRAMES = 1024, PAGE_BITS = 10, HINTS = 2 };
enum { UC_MEM_READ = 16, UC_MEM_WRITE = 17, UC_MEM_FETCH = 18 };   /* unicorn.h: uc_mem_type */
enum { PERM_READ = 1, PERM_WRITE = 2, PERM_EXEC = 4 };             /* unicorn.h: uc_prot */
enum { STOP_NONE, STOP_BUDGET, STOP_INTERRUPT, STOP_TRAP, STOP_FULL };
enum { OUTSIDE = -1 }; /* contexts: an operator's index, or one of profile.py's negative ones */
enum { TRAIT_FPU = 1, TRAIT_DOUBLE = 2 };

typedef struct {
    int32_t (*emu_stop)(void *uc);
    int32_t (*reg_read)(void *uc, int32_t id, void *value);
    int32_t (*reg_write)(void *uc, int32_t id, const void *value);
    int32_t (*mem_read)(void *uc, uint64_t address, void *bytes, uint64_t size);
    int32_t (*ctl)(void *uc, uint32_t control, ...);
    uint32_t remove_cache; /* the control word */
    int32_t r13, r14, xpsr, epsr, primask, faultmask, basepri;
} tbp_unicorn;

typedef struct {
    uint64_t key; /* address << 32 | size; 0: forgotten, because its bytes were overwritten */
    uint32_t address, size, instructions, traits;
    uint32_t watch; /* 1 + index of the watched function that starts here */
    uint32_t hints[HINTS];
} tbp_block;

typedef struct {
    uint64_t count;
    uint32_t from, to;
    int32_t context;
    uint32_t spare;
} tbp_edge;

typedef struct {
    uint64_t instructions;
    uint32_t watch;
    uint32_t spare;
} tbp_invocation;

typedef struct {
    uint64_t started;
    uint32_t return_address, sp, watch;
    int32_t context; /* to go back to */
} tbp_frame;

typedef struct {
    uint32_t address;
    int32_t operator_index; /* OUTSIDE: its calls are only measured */
} tbp_watch;

typedef struct {
    uint32_t start, end, target, permissions;
    uint8_t *executed; /* one byte a page, for memory that is writable and executable */
} tbp_range;

/* The head is read and written from Python (profile_native.py mirrors it field by field). */
typedef struct {
    uint64_t executed;  /* instructions since power-on, including all of the block that is running */
    uint64_t stop_at;   /* stop before the first block that would start at or after this count */
    uint32_t interrupt; /* 1 + priority of an interrupt that waits for the masks to open; 0: none */
    uint32_t traps;     /* traits that stop before a block */
    uint32_t quiet;     /* do not count: someone is stepping */
    uint32_t cause;     /* why the last run stopped */
    uint32_t last, previous, last_edge; /* blocks: the running one, the one before; the edge between */
    int32_t context;
    uint32_t depth;
    uint32_t refused_page, refused_kind;
    uint32_t block_count, edge_count, invocation_count, watch_count, range_count;
    tbp_block *blocks;
    tbp_edge *edges;
    tbp_invocation *invocations;
    /* below: private */
    tbp_unicorn uc;
    uint32_t block_room, edge_room, invocation_room;
    uint32_t *block_slots, *edge_slots;
    uint32_t block_slot_mask, edge_slot_mask;
    tbp_watch *watches;
    tbp_range *ranges;
    tbp_frame frames[MAX_FRAMES];
} tbp;

static uint32_t mix(uint64_t key)
{
    key *= UINT64_C(0x9E3779B97F4A7C15); /* 2^64 / golden ratio: Knuth's multiplicative hashing */
    return (uint32_t)(key >> 32);
}

static uint64_t block_key(uint32_t address, uint32_t size) { return (uint64_t)address << 32 | size; }

static uint64_t edge_key(const tbp_edge *edge)
{
    return ((uint64_t)edge->from << 32 | edge->to) ^ ((uint64_t)(uint32_t)edge->context << 17);
}

/* Makes room for one more element; false when memory is out. */
static bool grow(void **elements, size_t element_size, uint32_t count, uint32_t *room)
{
    if (count < *room)
        return true;
    uint32_t wanted = *room ? *room * 2 : 1024;
    void *larger = wanted > *room ? realloc(*elements, (size_t)wanted * element_size) : NULL;
    if (!larger)
        return false;
    *elements = larger;
    *room = wanted;
    return true;
}

static void place(uint32_t *slots, uint32_t mask, uint64_t key, uint32_t index)
{
    uint32_t slot = mix(key) & mask;
    while (slots[slot])
        slot = (slot + 1) & mask;
    slots[slot] = index;
}

/* Keeps the open-addressing table at most half full. */
static bool widen(tbp *p, bool blocks)
{
    uint32_t count = blocks ? p->block_count : p->edge_count;
    uint32_t mask = blocks ? p->block_slot_mask : p->edge_slot_mask;
    if (mask && count < mask / 2)
        return true;
    uint32_t wider = mask ? mask * 2 + 1 : 4095;
    uint32_t *slots = calloc((size_t)wider + 1, sizeof *slots);
    if (!slots)
        return false;
    for (uint32_t i = 1; i < count; i++) {
        if (blocks && p->blocks[i].key)
            place(slots, wider, p->blocks[i].key, i);
        else if (!blocks)
            place(slots, wider, edge_key(&p->edges[i]), i);
    }
    if (blocks) {
        free(p->block_slots);
        p->block_slots = slots;
        p->block_slot_mask = wider;
    } else {
        free(p->edge_slots);
        p->edge_slots = slots;
        p->edge_slot_mask = wider;
    }
    return true;
}

/* Length and traits from the encoding (Armv7-M ARM A5.1: first halfword 0b11101, 0b11110, 0b11111 is the
 * start of a 32-bit instruction; A5.3.18: coprocessor 10 and 11 are the FPU, 11 with a data-processing
 * encoding is double precision). */
static void decode(tbp_block *block, const uint8_t *code)
{
    uint32_t at = 0;
    while (at + 2 <= block->size) {
        uint32_t first = code[at] | (uint32_t)code[at + 1] << 8;
        bool wide = (first >> 11) >= 0x1D;
        if (wide && at + 4 <= block->size && (first & 0xEC00) == 0xEC00) {
            uint32_t second = code[at + 2] | (uint32_t)code[at + 3] << 8;
            if ((second & 0x0E00) == 0x0A00) {
                block->traits |= TRAIT_FPU;
                if ((first & 0xEF00) == 0xEE00 && (second & 0x0110) == 0x0100)
                    block->traits |= TRAIT_DOUBLE;
            }
        }
        at += wide ? 4 : 2;
        block->instructions++;
    }
}

static uint32_t watch_at(const tbp *p, uint32_t address)
{
    for (uint32_t i = 0; i < p->watch_count; i++)
        if (p->watches[i].address == address)
            return i + 1;
    return 0;
}

static uint32_t physical(const tbp *p, uint32_t address)
{
    for (uint32_t i = 0; i < p->range_count; i++)
        if (address >= p->ranges[i].start && address < p->ranges[i].end)
            return p->ranges[i].target + (address - p->ranges[i].start);
    return address;
}

/* Index of the block, 0 if memory is out. */
static uint32_t find_block(tbp *p, void *uc, uint32_t address, uint32_t size)
{
    uint64_t key = block_key(address, size);
    for (uint32_t slot = mix(key) & p->block_slot_mask; p->block_slots[slot];
         slot = (slot + 1) & p->block_slot_mask)
        if (p->blocks[p->block_slots[slot]].key == key)
            return p->block_slots[slot];
    if (!grow((void **)&p->blocks, sizeof *p->blocks, p->block_count, &p->block_room))
        return 0;
    uint8_t *code = malloc(size ? size : 1);
    if (!code)
        return 0;
    tbp_block block = {.key = key, .address = address, .size = size, .watch = watch_at(p, address)};
    if (p->uc.mem_read(uc, physical(p, address), code, size) == 0)
        decode(&block, code);
    free(code);
    uint32_t index = p->block_count++;
    p->blocks[index] = block;
    if (!widen(p, true)) {
        p->block_count--;
        return 0;
    }
    if (p->block_slots) {
        uint32_t slot = mix(key) & p->block_slot_mask;
        while (p->block_slots[slot] && p->block_slots[slot] != index)
            slot = (slot + 1) & p->block_slot_mask;
        p->block_slots[slot] = index;
    }
    return index;
}

static uint32_t find_edge(tbp *p, uint32_t from, uint32_t to)
{
    tbp_edge edge = {.from = from, .to = to, .context = p->context};
    uint64_t key = edge_key(&edge);
    uint32_t slot = mix(key) & p->edge_slot_mask;
    for (; p->edge_slots[slot]; slot = (slot + 1) & p->edge_slot_mask) {
        const tbp_edge *known = &p->edges[p->edge_slots[slot]];
        if (known->from == from && known->to == to && known->context == p->context)
            return p->edge_slots[slot];
    }
    if (!grow((void **)&p->edges, sizeof *p->edges, p->edge_count, &p->edge_room))
        return 0;
    uint32_t index = p->edge_count++;
    p->edges[index] = edge;
    if (!widen(p, false)) {
        p->edge_count--;
        return 0;
    }
    slot = mix(key) & p->edge_slot_mask;
    while (p->edge_slots[slot] && p->edge_slots[slot] != index)
        slot = (slot + 1) & p->edge_slot_mask;
    p->edge_slots[slot] = index;
    return index;
}

static uint32_t read_register(tbp *p, void *uc, int32_t id)
{
    uint32_t value = 0;
    p->uc.reg_read(uc, id, &value);
    return value;
}

static void stop(tbp *p, void *uc, uint32_t cause)
{
    p->cause = cause;
    p->uc.emu_stop(uc);
}

/* A watched function was called: its caller's address is in LR. Not if a loop goes back to its first
 * instruction: then the top frame is this function's already, with the same LR and SP. */
static bool enter(tbp *p, void *uc, uint32_t watch)
{
    uint32_t sp = read_register(p, uc, p->uc.r13);
    uint32_t return_address = read_register(p, uc, p->uc.r14) & ~UINT32_C(1);
    if (p->depth) {
        const tbp_frame *top = &p->frames[p->depth - 1];
        if (top->watch == watch && top->sp == sp && top->return_address == return_address)
            return true;
    }
    if (p->depth == MAX_FRAMES)
        return false;
    p->frames[p->depth++] = (tbp_frame){.started = p->executed,
                                        .return_address = return_address,
                                        .sp = sp,
                                        .watch = watch,
                                        .context = p->context};
    if (p->watches[watch - 1].operator_index != OUTSIDE)
        p->context = p->watches[watch - 1].operator_index;
    return true;
}

/* A block starts where the top frame returns to. A tail call leaves several frames with one return address. */
static bool leave(tbp *p, void *uc, uint32_t address)
{
    uint32_t sp = read_register(p, uc, p->uc.r13);
    while (p->depth && p->frames[p->depth - 1].return_address == address
           && p->frames[p->depth - 1].sp == sp) {
        const tbp_frame *frame = &p->frames[p->depth - 1];
        if (!grow((void **)&p->invocations, sizeof *p->invocations, p->invocation_count,
                  &p->invocation_room))
            return false;
        p->invocations[p->invocation_count++] =
            (tbp_invocation){.instructions = p->executed - frame->started, .watch = frame->watch};
        p->context = frame->context;
        p->depth--;
    }
    return true;
}

/* The masks that hold an interrupt back may open by an instruction that no hook sees. */
static bool interrupt_is_open(tbp *p, void *uc)
{
    if (read_register(p, uc, p->uc.primask) & 1 || read_register(p, uc, p->uc.faultmask) & 1)
        return false;
    uint32_t mask = read_register(p, uc, p->uc.basepri);
    return mask == 0 || p->interrupt - 1 < mask;
}

/* Counts one run of a block; false if a table is full, and then nothing was counted. */
static bool count(tbp *p, void *uc, uint32_t address, uint32_t size)
{
    uint64_t key = block_key(address, size);
    tbp_block *last = &p->blocks[p->last];
    uint32_t to = 0, edge = 0;
    for (int i = 0; i < HINTS; i++) {
        uint32_t hint = last->hints[i];
        if (hint && p->blocks[p->edges[hint].to].key == key) {
            to = p->edges[hint].to;
            edge = hint;
            break;
        }
    }
    if (!to && !(to = find_block(p, uc, address, size)))
        return false;
    if (p->traps & p->blocks[to].traits) {
        stop(p, uc, STOP_TRAP);
        return true;
    }
    if (p->blocks[to].watch && !enter(p, uc, p->blocks[to].watch))
        return false;
    if (!edge || p->edges[edge].context != p->context) {
        if (!(edge = find_edge(p, p->last, to)))
            return false;
        last = &p->blocks[p->last];
        memmove(last->hints + 1, last->hints, sizeof last->hints - sizeof last->hints[0]);
        last->hints[0] = edge;
    }
    p->edges[edge].count++;
    p->executed += p->blocks[to].instructions;
    p->previous = p->last;
    p->last = to;
    p->last_edge = edge;
    return true;
}

EXPORT void tbp_on_block(void *uc, uint64_t address, uint32_t size, void *user)
{
    tbp *p = user;
    if (p->quiet)
        return;
    if (p->executed >= p->stop_at) {
        stop(p, uc, STOP_BUDGET);
        return;
    }
    if (p->interrupt && interrupt_is_open(p, uc)) {
        stop(p, uc, STOP_INTERRUPT);
        return;
    }
    if (p->depth && p->frames[p->depth - 1].return_address == (uint32_t)address
        && !leave(p, uc, (uint32_t)address)) {
        stop(p, uc, STOP_FULL);
        return;
    }
    if (!count(p, uc, (uint32_t)address, size))
        stop(p, uc, STOP_FULL);
}

/* Counts instructions that ran outside the hook (single steps). */
EXPORT bool tbp_account(tbp *p, void *uc, uint32_t address, uint32_t size)
{
    uint32_t traps = p->traps;
    p->traps = 0;
    bool counted = (!p->depth || p->frames[p->depth - 1].return_address != address || leave(p, uc, address))
                   && count(p, uc, address, size);
    p->traps = traps;
    return counted;
}

/* The running block broke off before the instruction at `pc`: only what came before it was executed. */
EXPORT bool tbp_truncate(tbp *p, void *uc, uint32_t pc)
{
    tbp_block block = p->blocks[p->last];
    if (!p->last || !p->last_edge || pc < block.address || pc >= block.address + block.size)
        return true;
    p->edges[p->last_edge].count--;
    p->executed -= block.instructions;
    p->last = p->previous;
    p->last_edge = 0;
    if (pc == block.address)
        return true;
    uint32_t traps = p->traps, to = find_block(p, uc, block.address, pc - block.address);
    uint32_t edge = to ? find_edge(p, p->last, to) : 0;
    p->traps = traps;
    if (!edge)
        return false;
    p->edges[edge].count++;
    p->executed += p->blocks[to].instructions;
    p->last = to;
    return true;
}

/* An exception was taken or left: what comes next did not come from the running block. */
EXPORT void tbp_break(tbp *p)
{
    p->last = 0;
    p->previous = 0;
    p->last_edge = 0;
}

/* IT bits in the middle of a block are only in the translator's head; Unicorn writes them back when it
 * restores the PC for a hook, and they would then condition the next block. */
static void clear_it(tbp *p, void *uc)
{
    if (read_register(p, uc, p->uc.xpsr) & UINT32_C(0x0600FC00)) {
        uint32_t thumb = UINT32_C(1) << 24;
        p->uc.reg_write(uc, p->uc.epsr, &thumb);
    }
}

EXPORT void tbp_forget(tbp *p, uint32_t start, uint32_t end)
{
    for (uint32_t i = 1; i < p->block_count; i++)
        if (p->blocks[i].address < end && p->blocks[i].address + p->blocks[i].size > start)
            p->blocks[i].key = 0;
}

typedef struct {
    uint64_t paddr;
    uint32_t perms;
} tlb_entry; /* unicorn.h: uc_tlb_entry */

/* Memory is either writable or executable at a time, so that stores need no check for translated code. */
static uint32_t grant(tbp *p, void *uc, const tbp_range *range, uint32_t page, int32_t kind)
{
    if (!range->executed)
        return range->permissions;
    uint8_t *executed = &range->executed[(page - range->start) >> PAGE_BITS];
    if (kind == UC_MEM_FETCH) {
        *executed = 1;
        return PERM_READ | PERM_EXEC;
    }
    if (kind == UC_MEM_WRITE && *executed) {
        uint32_t end = page + (1u << PAGE_BITS);
        p->uc.ctl(uc, p->uc.remove_cache, (uint64_t)page, (uint64_t)end);
        tbp_forget(p, page, end);
        *executed = 0; /* last: removing may itself ask for the page as code */
    }
    return *executed ? PERM_READ : PERM_READ | PERM_WRITE;
}

EXPORT bool tbp_on_tlb(void *uc, uint64_t address, int32_t kind, void *result, void *user)
{
    tbp *p = user;
    tlb_entry *entry = result;
    uint32_t page = (uint32_t)address;
    uint32_t need = kind == UC_MEM_WRITE ? PERM_WRITE : kind == UC_MEM_FETCH ? PERM_EXEC : PERM_READ;
    for (uint32_t i = 0; i < p->range_count; i++) {
        const tbp_range *range = &p->ranges[i];
        if (page < range->start || page >= range->end || !(range->permissions & need))
            continue;
        entry->paddr = range->target + (page - range->start);
        entry->perms = grant(p, uc, range, page, kind);
        if (kind != UC_MEM_FETCH)
            clear_it(p, uc);
        return true;
    }
    p->refused_page = page;
    p->refused_kind = (uint32_t)kind;
    return false;
}

/* Device memory is mapped without any right, so that Unicorn asks here first, with an exact PC. */
EXPORT bool tbp_on_device(void *uc, int32_t kind, uint64_t address, int32_t size, int64_t value, void *user)
{
    (void)kind, (void)address, (void)size, (void)value;
    clear_it(user, uc);
    return true;
}

EXPORT bool tbp_watch_function(tbp *p, uint32_t address, int32_t operator_index)
{
    tbp_watch *larger = realloc(p->watches, (p->watch_count + 1) * sizeof *larger);
    if (!larger)
        return false;
    p->watches = larger;
    p->watches[p->watch_count++] = (tbp_watch){address, operator_index};
    return true;
}

EXPORT bool tbp_add_range(tbp *p, uint32_t start, uint32_t end, uint32_t target, uint32_t permissions)
{
    tbp_range *larger = realloc(p->ranges, (p->range_count + 1) * sizeof *larger);
    if (!larger)
        return false;
    p->ranges = larger;
    tbp_range range = {start, end, target, permissions, NULL};
    if ((permissions & PERM_WRITE) && (permissions & PERM_EXEC)
        && !(range.executed = calloc(((end - start) >> PAGE_BITS) + 1, 1)))
        return false;
    p->ranges[p->range_count++] = range;
    return true;
}

EXPORT void tbp_remove_range(tbp *p, uint32_t start, uint32_t permissions)
{
    for (uint32_t i = 0; i < p->range_count; i++) {
        if (p->ranges[i].start != start || p->ranges[i].permissions != permissions)
            continue;
        free(p->ranges[i].executed);
        for (p->range_count--; i < p->range_count; i++)
            p->ranges[i] = p->ranges[i + 1];
        return;
    }
}

/* Counts from zero; the running block and the functions that are being executed stay known. */
EXPORT void tbp_reset(tbp *p)
{
    for (uint32_t i = 1; i < p->edge_count; i++)
        p->edges[i].count = 0;
    p->invocation_count = 0;
    p->last_edge = 0;
}

EXPORT void tbp_free(tbp *p)
{
    if (!p)
        return;
    for (uint32_t i = 0; i < p->range_count; i++)
        free(p->ranges[i].executed);
    free(p->blocks);
    free(p->edges);
    free(p->invocations);
    free(p->block_slots);
    free(p->edge_slots);
    free(p->watches);
    free(p->ranges);
    free(p);
}

EXPORT tbp *tbp_new(const tbp_unicorn *unicorn)
{
    tbp *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->uc = *unicorn;
    p->stop_at = UINT64_MAX;
    p->context = OUTSIDE;
    p->block_count = p->edge_count = 1; /* index 0 means none: the block before the first */
    if (!grow((void **)&p->blocks, sizeof *p->blocks, 0, &p->block_room)
        || !grow((void **)&p->edges, sizeof *p->edges, 0, &p->edge_room) || !widen(p, true)
        || !widen(p, false)) {
        tbp_free(p);
        return NULL;
    }
    memset(&p->blocks[0], 0, sizeof p->blocks[0]);
    memset(&p->edges[0], 0, sizeof p->edges[0]);
    return p;
}
