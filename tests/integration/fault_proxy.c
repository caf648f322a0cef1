#include "fault_proxy.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#include "util/fs.h"
#include "util/vec.h"

#define PIECE 16384

/* A connection and what is left until its fault. */
struct link {
	int client, server;
	struct fault fault;
	uint64_t seen; /* bytes from the server */
};

struct fault_proxy {
	const struct fault *faults;
	size_t n, accepted;
	int target, port, listener, stop[2];
	pthread_mutex_t lock; /* of accepted */
	pthread_t thread;
	VEC(struct link) links;
};

static void link_close(struct link *l, bool reset)
{
	struct linger linger = { 1, 0 };

	if (reset)
		(void)setsockopt(l->client, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	fs_close_p_(&l->client);
	fs_close_p_(&l->server);
}

static bool send_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t m = send(fd, p, n, MSG_NOSIGNAL);

		if (m <= 0)
			return false;
		p += m;
		n -= (size_t)m;
	}
	return true;
}

/* Pass one piece from the server on, with the fault where it falls into it. */
static void downstream(struct link *l)
{
	char buf[PIECE];
	ssize_t n = recv(l->server, buf, sizeof(buf), 0);
	uint64_t at = l->fault.after - l->seen;
	bool here = l->fault.kind != FAULT_NONE && l->seen <= l->fault.after && n > 0 &&
	            at < (uint64_t)n;

	if (here && l->fault.kind == FAULT_FLIP) {
		buf[at] = (char)(buf[at] ^ 1);
	} else if (here) {
		(void)send_all(l->client, buf, (size_t)at);
		if (l->fault.kind == FAULT_RESET)
			(void)poll(NULL, 0, 20); /* what was sent arrives before the reset */
		link_close(l, l->fault.kind == FAULT_RESET);
		return;
	}
	if (n <= 0 || !send_all(l->client, buf, (size_t)n))
		link_close(l, false);
	else
		l->seen += (uint64_t)n;
}

static void upstream(struct link *l)
{
	char buf[PIECE];
	ssize_t n = recv(l->client, buf, sizeof(buf), 0);

	if (n <= 0 || !send_all(l->server, buf, (size_t)n))
		link_close(l, false);
}

static void take(struct fault_proxy *p)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		                 .sin_port = htons((uint16_t)p->target) };
	struct link l = { .client = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC),
		          .server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };

	(void)pthread_mutex_lock(&p->lock);
	if (p->accepted < p->n)
		l.fault = p->faults[p->accepted];
	p->accepted++;
	(void)pthread_mutex_unlock(&p->lock);
	if (l.client < 0 || connect(l.server, (struct sockaddr *)&a, sizeof(a)) < 0)
		link_close(&l, false);
	else
		vec_push(&p->links, l);
}

static void *run(void *ctx)
{
	struct fault_proxy *p = ctx;
	VEC(struct pollfd) fds = { 0 };

	for (;;) {
		size_t n = p->links.len;

		fds.len = 0;
		vec_push(&fds, (struct pollfd){ p->stop[0], POLLIN, 0 });
		vec_push(&fds, (struct pollfd){ p->listener, POLLIN, 0 });
		vec_foreach (l, &p->links) {
			vec_push(&fds, (struct pollfd){ l->client, POLLIN, 0 });
			vec_push(&fds, (struct pollfd){ l->server, POLLIN, 0 });
		}
		if (poll(fds.ptr, fds.len, -1) < 0)
			continue;
		if (fds.ptr[0].revents)
			break;
		for (size_t i = 0; i < n; i++) {
			if (p->links.ptr[i].client >= 0 && fds.ptr[2 + 2 * i].revents)
				upstream(&p->links.ptr[i]);
			if (p->links.ptr[i].client >= 0 && fds.ptr[3 + 2 * i].revents)
				downstream(&p->links.ptr[i]);
		}
		if (fds.ptr[1].revents)
			take(p);
	}
	vec_foreach (l, &p->links)
		link_close(l, false);
	vec_free(&p->links);
	vec_free(&fds);
	return NULL;
}

struct fault_proxy *fault_proxy_new(int port, const struct fault *faults, size_t n)
{
	struct fault_proxy *p = xcalloc(1, sizeof(*p));
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);

	p->faults = faults;
	p->n = n;
	p->target = port;
	p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(p->listener, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(p->listener, 64) < 0 ||
	    getsockname(p->listener, (struct sockaddr *)&a, &len) < 0 ||
	    pipe2(p->stop, O_CLOEXEC) < 0)
		abort();
	p->port = ntohs(a.sin_port);
	(void)pthread_mutex_init(&p->lock, NULL);
	if (pthread_create(&p->thread, NULL, run, p) != 0)
		abort();
	return p;
}

int fault_proxy_port(const struct fault_proxy *p)
{
	return p->port;
}

size_t fault_proxy_connections(struct fault_proxy *p)
{
	size_t n;

	(void)pthread_mutex_lock(&p->lock);
	n = p->accepted;
	(void)pthread_mutex_unlock(&p->lock);
	return n;
}

void fault_proxy_free(struct fault_proxy *p)
{
	if (write(p->stop[1], "x", 1) != 1)
		abort();
	(void)pthread_join(p->thread, NULL);
	(void)pthread_mutex_destroy(&p->lock);
	fs_close_p_(&p->listener);
	fs_close_p_(&p->stop[0]);
	fs_close_p_(&p->stop[1]);
	free(p);
}
