/* A plugin for QEMU's user mode that counts the guest's instructions.
 *
 * Each getppid() of the guest prints the count so far to stderr: `instructions N`. The declarations
 * are those of QEMU's public qemu-plugin.h, which Debian packages from Debian 13 on. API is the
 * version of that interface: QEMU 7 and 8 take 1, QEMU 9 and later 2.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

#define EXPORT __attribute__((visibility("default")))
#define GETPPID_OF_AARCH64 173

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
typedef void (*on_translation)(plugin_id, struct qemu_plugin_tb *);
typedef void (*on_execution)(unsigned cpu, void *data);
typedef void (*on_syscall)(plugin_id, unsigned cpu, int64_t number, uint64_t, uint64_t, uint64_t,
                           uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, on_translation);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, on_execution, int flags, void *data);
void qemu_plugin_register_vcpu_syscall_cb(plugin_id, on_syscall);

EXPORT int qemu_plugin_version = API;

static uint64_t instructions;

/* Threads of the guest are threads here. */
static void executed(unsigned cpu, void *length)
{
    (void)cpu;
    __atomic_fetch_add(&instructions, (uintptr_t)length, __ATOMIC_RELAXED);
}

static void translated(plugin_id id, struct qemu_plugin_tb *block)
{
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_cb(block, executed, 0,
                                         (void *)(uintptr_t)qemu_plugin_tb_n_insns(block));
}

static void called(plugin_id id, unsigned cpu, int64_t number, uint64_t a, uint64_t b, uint64_t c,
                   uint64_t d, uint64_t e, uint64_t f, uint64_t g, uint64_t h)
{
    (void)id, (void)cpu, (void)a, (void)b, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h;
    if (number == GETPPID_OF_AARCH64)
        fprintf(stderr, "instructions %" PRIu64 "\n",
                __atomic_load_n(&instructions, __ATOMIC_RELAXED));
}

EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
    (void)info, (void)argc, (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    return 0;
}
