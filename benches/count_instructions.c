/* A plugin of qemu that counts the instructions of a program, for instructions.py.

   The functions of qemu that it calls are declared here, since no package has qemu's header; they
   are the same in every version of the interface. PLUGIN_VERSION is the version that the emulator
   at hand asks for.

       cc -shared -fPIC -O2 -DPLUGIN_VERSION=1 -o count_instructions.so count_instructions.c
       qemu-aarch64 -plugin ./count_instructions.so PROGRAM
*/

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef uint64_t plugin_id;
struct qemu_plugin_tb;

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
void qemu_plugin_register_vcpu_tb_trans_cb(
    plugin_id id, void (*callback)(plugin_id, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(
    struct qemu_plugin_tb *block, void (*callback)(unsigned int, void *), int registers,
    void *argument);
void qemu_plugin_register_atexit_cb(
    plugin_id id, void (*callback)(plugin_id, void *), void *argument);

__attribute__((visibility("default"))) int qemu_plugin_version = PLUGIN_VERSION;

/* Programs of one thread only. */
static uint64_t count;

static void add(unsigned int cpu, void *instructions) {
    (void)cpu;
    count += (uintptr_t)instructions;
}

/* Called for each block of instructions when it is translated. */
static void translated(plugin_id id, struct qemu_plugin_tb *block) {
    (void)id;
    uintptr_t instructions = qemu_plugin_tb_n_insns(block);
    qemu_plugin_register_vcpu_tb_exec_cb(block, add, 0, (void *)instructions);
}

static void print(plugin_id id, void *argument) {
    (void)id;
    (void)argument;
    fprintf(stderr, "instructions: %llu\n", (unsigned long long)count);
}

__attribute__((visibility("default"))) int
qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
    (void)info;
    (void)argc;
    (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, print, NULL);
    return 0;
}
