/* sandbox_probe - a static program that runs inside a sandbox and reports what it may do.
 *
 *	sandbox_probe call NUMBER [ARG]...    a system call by number: "ok" or the name of errno
 *	sandbox_probe call32 NUMBER           the same through the 32-bit entry (x86)
 *	sandbox_probe fds                     open descriptors above 2, one a line
 *	sandbox_probe open PATH MODE          r or w: "ok" or the name of errno
 *	sandbox_probe eat MIB                 use that much memory
 *	sandbox_probe id                      real and effective user
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int report(long r)
{
	(void)puts(r >= 0 ? "ok" : strerrorname_np(errno));
	return 0;
}

/* Argument i, decimal or 0x hexadecimal; 0 when there is none. */
static unsigned long arg(char **argv, int argc, int i)
{
	const char *p = i < argc ? argv[i] : "";
	unsigned base = p[0] == '0' && p[1] == 'x' ? 16 : 10;
	unsigned long v = 0;

	for (p += base == 16 ? 2 : 0; *p; p++)
		v = v * base + (unsigned long)(*p <= '9' ? *p - '0' : *p - 'a' + 10);
	return v;
}

static int call(int argc, char **argv)
{
	long nr = (long)arg(argv, argc, 2);
	pid_t pid = fork(); /* a call that succeeds may change this process */
	int status = 0;

	if (pid == 0) {
		long r = syscall(nr, arg(argv, argc, 3), arg(argv, argc, 4), arg(argv, argc, 5),
		                 arg(argv, argc, 6), arg(argv, argc, 7), arg(argv, argc, 8));

		if (r == 0 && (nr == SYS_clone || nr == SYS_fork))
			_exit(0);
		(void)report(r);
		(void)fflush(stdout);
		_exit(0);
	}
	(void)waitpid(pid, &status, 0);
	if (WIFSIGNALED(status))
		(void)printf("signal %d\n", WTERMSIG(status));
	return 0;
}

static int call32(unsigned nr)
{
#ifdef __x86_64__
	long r;

	__asm__ volatile("int $0x80"
	                 : "=a"(r)
	                 : "a"(nr), "b"(0), "c"(0), "d"(0)
	                 : "memory", "r8", "r9", "r10", "r11");
	errno = r < 0 ? (int)-r : 0;
	return report(r < 0 ? -1 : 0);
#else
	(void)nr;
	(void)puts("EPERM");
	return 0;
#endif
}

static int fds(void)
{
	for (int fd = 3; fd < 4096; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			(void)printf("%d\n", fd);
	return 0;
}

static int eat(unsigned long mib)
{
	for (unsigned long i = 0; i < mib; i++) {
		char *p = malloc(1 << 20);

		if (p)
			memset(p, (int)i | 1, 1 << 20);
	}
	(void)puts("eaten");
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (strcmp(what, "call") == 0)
		return call(argc, argv);
	if (strcmp(what, "call32") == 0)
		return call32((unsigned)arg(argv, argc, 2));
	if (strcmp(what, "fds") == 0)
		return fds();
	if (strcmp(what, "open") == 0 && argc > 3)
		return report(open(argv[2], argv[3][0] == 'w' ? O_WRONLY : O_RDONLY));
	if (strcmp(what, "eat") == 0)
		return eat(arg(argv, argc, 2));
	if (strcmp(what, "id") == 0) {
		(void)printf("%u %u\n", getuid(), geteuid());
		return 0;
	}
	return 2;
}
