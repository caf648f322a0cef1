/* cli/machine.h - what the machine that runs this has: processors, memory, disk. */
#ifndef CAIRN_CLI_MACHINE_H
#define CAIRN_CLI_MACHINE_H

#include <stdint.h>

struct host_machine {
	unsigned cpus;      /* that this process may use; never 0 */
	uint64_t memory;    /* bytes: of the machine, or what a container leaves of it */
	uint64_t available; /* bytes of it that can be had now; 0 = not known */
	uint64_t disk;      /* bytes that are free; 0 = not known */
};

/* Measure. home: the folder whose disk is meant; it need not be there. */
void machine_measure(const char *home, struct host_machine *ret);

/* The value of a line "MemAvailable:   123 kB" of /proc/meminfo in bytes; 0: there is none. Pure.
 */
uint64_t machine_meminfo(const char *text, const char *name);

#endif
