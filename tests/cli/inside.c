/* A program for the images of the command-line tests: linked statically, so that it needs
 * nothing in the image.
 *
 * usage: inside WORD...   id, pid, cwd, env, read=FILE, write=FILE, exit=N; others are printed
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

static void show_file(const char *path)
{
	char buf[4096];
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf));

	if (n < 0)
		perror(path);
	else
		(void)fwrite(buf, 1, (size_t)n, stdout);
	if (fd >= 0)
		close(fd);
}

static void write_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, "written\n", 8) != 8)
		perror(path);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	char cwd[4096];

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "id") == 0)
			printf("%d:%d\n", (int)getuid(), (int)getgid());
		else if (strcmp(argv[i], "pid") == 0)
			printf("%d\n", (int)getpid());
		else if (strcmp(argv[i], "cwd") == 0)
			printf("%s\n", getcwd(cwd, sizeof(cwd)) ? cwd : "?");
		else if (strcmp(argv[i], "env") == 0)
			for (char **e = environ; *e; e++)
				printf("%s\n", *e);
		else if (strncmp(argv[i], "read=", 5) == 0)
			show_file(argv[i] + 5);
		else if (strncmp(argv[i], "write=", 6) == 0)
			write_file(argv[i] + 6);
		else if (strncmp(argv[i], "exit=", 5) == 0)
			exit(argv[i][5] - '0');
		else
			printf("word %s\n", argv[i]);
		(void)fflush(stdout);
	}
	return 0;
}
