/* A plugin of QEMU's code generator (TCG) that counts what the guest executes, block by block.
 *
 * Which function's calls are measured comes in as arguments; the counts lie in a file that the host maps as
 * well (counting.py mirrors the structures field by field), so that nothing has to be asked of QEMU while the
 * guest runs. A block is counted when it starts, with all its instructions: those inside an IT block whose
 * condition fails are among them, as they are in silicon's cycles.
 *
 * A call of a watched function begins where a block starts at its address, and ends where one starts at the
 * address behind the call: that is the end of the block before, as a branch ends each block. No register is
 * needed, which the interface of QEMU 7.2 could not read; recursion would be told wrongly, and is not allowed
 * in our firmware.
 *
 * The interface: QEMU's include/qemu/qemu-plugin.h, whose prototypes are repeated here as distributions do not
 * ship the header: version 1 (QEMU 4.2 to 8.2) or 2 (since 9.0, where scoreboards came), which agree in all
 * that is used.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
struct qemu_info;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };
typedef void (*tb_translated)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void (*tb_executed)(unsigned int vcpu, void *userdata);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, tb_translated callback);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, tb_executed callback,
                                          enum qemu_plugin_cb_flags flags, void *userdata);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *instruction);

EXPORT int qemu_plugin_version = 1;

enum { MAX_BLOCKS = 1 << 16, MAX_CALLS = 1 << 16, MAX_WATCHES = 1 << 10, MAX_DEPTH = 8, BUCKETS = 1 << 17 };
enum { FULL_BLOCKS = 1, FULL_CALLS = 2, TOO_DEEP = 4 };

typedef struct {
    uint64_t runs;
    uint64_t runs_inside; /* of the first watched function's calls */
    uint32_t address, end;
    uint32_t instructions;
    uint32_t watch; /* 1 + index of the watched function that starts here */
} counted_block;

typedef struct {
    uint64_t instructions;
    uint32_t watch, spare;
} counted_call;

typedef struct {
    uint64_t executed;
    uint32_t blocks, calls, troubles, spare;
    counted_block block[MAX_BLOCKS];
    counted_call call[MAX_CALLS];
} counts;

static counts *shared;
static uint32_t watched[MAX_WATCHES];
static uint32_t watches;
static uint32_t bucket[BUCKETS]; /* 1 + index of a block */
static const counted_block *previous;

static struct {
    uint64_t executed_before;
    uint32_t return_address, watch;
} frame[MAX_DEPTH];
static uint32_t depth;

static void enter(uint32_t watch) {
    if (depth == MAX_DEPTH) {
        shared->troubles |= TOO_DEEP;
        return;
    }
    frame[depth].executed_before = shared->executed;
    frame[depth].return_address = previous != NULL ? previous->end : 0;
    frame[depth].watch = watch;
    depth++;
}

static void leave(void) {
    depth--;
    if (shared->calls == MAX_CALLS) {
        shared->troubles |= FULL_CALLS;
        return;
    }
    counted_call *call = &shared->call[shared->calls];
    call->instructions = shared->executed - frame[depth].executed_before;
    call->watch = frame[depth].watch;
    shared->calls++;
}

static void executed(unsigned int vcpu, void *userdata) {
    (void)vcpu;
    counted_block *block = userdata;
    while (depth > 0 && block->address == frame[depth - 1].return_address) {
        leave();
    }
    if (block->watch != 0) {
        enter(block->watch - 1);
    }
    block->runs++;
    if (depth > 0 && frame[0].watch == 0) {
        block->runs_inside++;
    }
    shared->executed += block->instructions;
    previous = block;
}

static counted_block *new_block(uint32_t address, uint32_t end, uint32_t instructions) {
    if (shared->blocks == MAX_BLOCKS) {
        shared->troubles |= FULL_BLOCKS;
        return NULL;
    }
    counted_block *block = &shared->block[shared->blocks];
    block->address = address;
    block->end = end;
    block->instructions = instructions;
    for (uint32_t i = 0; i < watches; i++) {
        block->watch = watched[i] == address ? i + 1 : block->watch;
    }
    shared->blocks++; /* last: the host looks at the first `blocks` only */
    return block;
}

/* QEMU translates a block again when it likes; its counts go on. */
static counted_block *block_of(uint32_t address, uint32_t end, uint32_t instructions) {
    uint32_t place = (address ^ instructions * 0x9E3779B1U) % BUCKETS;
    while (bucket[place] != 0) {
        counted_block *known = &shared->block[bucket[place] - 1];
        if (known->address == address && known->instructions == instructions) {
            return known;
        }
        place = (place + 1) % BUCKETS;
    }
    counted_block *block = new_block(address, end, instructions);
    bucket[place] = block != NULL ? shared->blocks : 0;
    return block;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    const size_t instructions = qemu_plugin_tb_n_insns(tb);
    const uint32_t address = (uint32_t)qemu_plugin_tb_vaddr(tb);
    uint32_t end = address;
    for (size_t i = 0; i < instructions; i++) {
        end += (uint32_t)qemu_plugin_insn_size(qemu_plugin_tb_get_insn(tb, i));
    }
    counted_block *block = block_of(address, end, (uint32_t)instructions);
    if (block != NULL) {
        qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, QEMU_PLUGIN_CB_NO_REGS, block);
    }
}

static bool map(const char *path) {
    const int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0) {
        return false;
    }
    void *memory = mmap(NULL, sizeof(counts), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    shared = memory == MAP_FAILED ? NULL : memory;
    return shared != NULL;
}

/* QEMU reads the version before it calls anything: it is chosen when the library is loaded. */
__attribute__((constructor)) static void choose_version(void) {
    if (dlsym(RTLD_DEFAULT, "qemu_plugin_scoreboard_new") != NULL) {
        qemu_plugin_version = 2;
    }
}

/* Arguments: `counts=FILE`, then `watch=ADDRESS` once for each function, the inference's first. */
EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc, char **argv);

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc, char **argv) {
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "counts=", 7) == 0) {
            if (!map(argv[i] + 7)) {
                return 1;
            }
        } else if (strncmp(argv[i], "watch=", 6) == 0 && watches < MAX_WATCHES) {
            watched[watches++] = (uint32_t)strtoul(argv[i] + 6, NULL, 0);
        } else {
            return 1;
        }
    }
    if (shared == NULL) {
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
