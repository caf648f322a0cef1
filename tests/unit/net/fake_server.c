#include "net/fake_server.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#include "harness.h"
#include "util/fs.h"

#define REQUESTS_MAX (1u << 20)

struct fake_server {
	const struct fake_answer *answers;
	size_t n;
	int listener, stop[2];
	bool stopped;
	pthread_t thread;
	char *url;
	struct strbuf requests;
};

/* Until fd is readable; false when the server is to stop. */
static bool readable(struct fake_server *s, int fd)
{
	struct pollfd fds[] = { { .fd = fd, .events = POLLIN },
		                { .fd = s->stop[0], .events = POLLIN } };

	while (poll(fds, 2, -1) < 0)
		;
	return fds[1].revents == 0;
}

/* Up to the blank line; false when the client is gone. */
static bool read_head(struct fake_server *s, int fd)
{
	size_t start = s->requests.len;
	char c;

	while (readable(s, fd) && recv(fd, &c, 1, 0) == 1) {
		strbuf_char(&s->requests, c);
		if (str_ends(str_skip(strbuf_view(&s->requests), start), S("\r\n\r\n")))
			return true;
	}
	return false;
}

static void *serve(void *ctx)
{
	struct fake_server *s = ctx;
	cleanup_fd int fd = -1;

	for (size_t i = 0; i < s->n; i++) {
		const struct fake_answer *a = &s->answers[i];
		struct linger reset = { 1, 0 };

		if (fd < 0) {
			if (!readable(s, s->listener))
				break;
			fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
		}
		if (!read_head(s, fd)) {
			fs_close_p_(&fd);
			i--;
			if (!readable(s, s->listener))
				break;
			continue;
		}
		(void)send(fd, a->bytes, strlen(a->bytes), MSG_NOSIGNAL);
		if (a->end == FAKE_STALL)
			(void)readable(s, s->stop[0]);
		if (a->end == FAKE_RESET) {
			struct timespec ts = { .tv_nsec =
				                       50000000 }; /* let the bytes through first */

			(void)nanosleep(&ts, NULL);
			(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		}
		if (a->end != FAKE_KEEP)
			fs_close_p_(&fd);
	}
	return NULL;
}

struct fake_server *fake_server_new(const struct fake_answer *answers, size_t n)
{
	struct fake_server *s = xcalloc(1, sizeof(*s));
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);

	s->answers = answers;
	s->n = n;
	strbuf_init(&s->requests, REQUESTS_MAX);
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->listener, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(s->listener, 16), 0);
	assert_int_equal(getsockname(s->listener, (struct sockaddr *)&a, &len), 0);
	assert_int_equal(pipe2(s->stop, O_CLOEXEC), 0);
	s->url = xasprintf("http://127.0.0.1:%d", ntohs(a.sin_port));
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
	return s;
}

const char *fake_server_url(const struct fake_server *s)
{
	return s->url;
}

void fake_server_stop(struct fake_server *s)
{
	if (s->stopped)
		return;
	s->stopped = true;
	assert_int_equal(write(s->stop[1], "x", 1), 1);
	(void)pthread_join(s->thread, NULL);
}

const char *fake_server_requests(const struct fake_server *s)
{
	return s->requests.ptr;
}

void fake_server_free(struct fake_server *s)
{
	fake_server_stop(s);
	fs_close_p_(&s->listener);
	fs_close_p_(&s->stop[0]);
	fs_close_p_(&s->stop[1]);
	strbuf_done(&s->requests);
	free(s->url);
	free(s);
}
