/* A QEMU plugin that counts guest instructions between marks.
 *
 * A mark is the system call MARK_NUMBER with MARK_MAGIC as its first argument, and a pointer to a 64-bit word
 * of the guest's memory as its second. In user mode that memory is the plugin's own, shifted by the guest base (the
 * plugin's argument base=NUMBER, the same as QEMU's -B): the count is written there.
 * A translation block counts whole when it is entered. The counter is plain memory, so a forked guest goes on
 * with a counter of its own.
 *
 * Debian does not package the plugin header; these are the few declarations of it that are used here. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_info;
enum op { ADD_U64 };

typedef void (*tb_translated)(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void (*syscall_entered)(qemu_plugin_id_t, unsigned int, int64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                                uint64_t, uint64_t, uint64_t, uint64_t);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, tb_translated);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, enum op, void *, uint64_t);
void qemu_plugin_register_vcpu_syscall_cb(qemu_plugin_id_t, syscall_entered);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);

#define EXPORTED __attribute__((visibility("default")))
#define MARK_NUMBER 141
#define MARK_MAGIC UINT64_C(0x68776c6f6f70)

EXPORTED int qemu_plugin_version = 1;

static uint64_t executed;
static uint64_t guest_base;

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, &executed, qemu_plugin_tb_n_insns(block));
}

static void entered(qemu_plugin_id_t id, unsigned int vcpu, int64_t number, uint64_t magic, uint64_t address,
                    uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8)
{
    if (number == MARK_NUMBER && magic == MARK_MAGIC)
        *(volatile uint64_t *)(uintptr_t)(guest_base + address) = executed;
}

EXPORTED int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        if (strncmp(argv[i], "base=", 5) == 0)
            guest_base = strtoull(argv[i] + 5, NULL, 0);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, entered);
    return 0;
}
