#include "interrupt.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "ctx.h"
#include "net/net.h"
#include "util/clock.h"
#include "util/fs.h"

#define QUESTION_TIMEOUT_NS (2ull * 1000000000) /* IMDS answers at once or never */
#define SILENCE_MAX         3 /* questions without an answer, one after the other */
#define VENDOR_FILE         "/sys/class/dmi/id/sys_vendor"
#define VENDOR_EC2          "Amazon EC2"

struct interrupt {
	char *const *envp;
	int signals; /* signalfd */
	int stop;    /* epoll over signals and `over`: one descriptor for a poll loop */
	int over;    /* eventfd: the grace time is over */
	int drain;   /* eventfd: a notice has come */
	int quit;    /* eventfd: the thread shall end */
	bool watching;
	pthread_t thread;
	atomic_bool cancel; /* of the thread's requests */
	pthread_mutex_t lock;
	enum interrupt_cause cause; /* lock */
	int64_t since;              /* lock; when it happened */
};

static const struct {
	const char *text;
	int64_t flush_ns; /* uploads may take so long from then on */
} causes[INTERRUPT_N_] = {
	[INTERRUPT_NONE] = { "", 0 },
	[INTERRUPT_USER] = { "stopped", 0 },
	[INTERRUPT_TERM] = { "stopped by SIGTERM", INTERRUPT_TERM_NS },
	[INTERRUPT_REBALANCE] = { "this machine may be stopped soon (rebalance recommendation)",
	                          INTERRUPT_FLUSH_NS },
	[INTERRUPT_SPOT] = { "this machine will be stopped (spot interruption)",
	                     INTERRUPT_FLUSH_NS },
};

static void happened(struct interrupt *i, enum interrupt_cause cause)
{
	pthread_mutex_lock(&i->lock);
	if (i->cause == INTERRUPT_NONE) {
		i->cause = cause;
		i->since = clock_monotonic();
	}
	pthread_mutex_unlock(&i->lock);
}

/* --- signals ------------------------------------------------------------------- */

static int open_fds(struct interrupt *i, struct cairn_err *err)
{
	sigset_t set;
	int inside[2];

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
		return cairn_fail_sys(err, "block signals");
	i->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	i->over = eventfd(0, EFD_CLOEXEC);
	i->drain = eventfd(0, EFD_CLOEXEC);
	i->quit = eventfd(0, EFD_CLOEXEC);
	i->stop = epoll_create1(EPOLL_CLOEXEC);
	if (i->signals < 0 || i->over < 0 || i->drain < 0 || i->quit < 0 || i->stop < 0)
		return cairn_fail_sys(err, "signals");
	inside[0] = i->signals;
	inside[1] = i->over;
	for (size_t k = 0; k < ARRAY_SIZE(inside); k++)
		if (epoll_ctl(i->stop, EPOLL_CTL_ADD, inside[k],
		              &(struct epoll_event){ .events = EPOLLIN }) < 0)
			return cairn_fail_sys(err, "signals");
	return 0;
}

int interrupt_new(char *const *envp, struct interrupt **ret, struct cairn_err *err)
{
	struct interrupt *i = xcalloc(1, sizeof(*i));
	int r;

	*i = (struct interrupt){
		.envp = envp, .signals = -1, .stop = -1, .over = -1, .drain = -1, .quit = -1
	};
	if (pthread_mutex_init(&i->lock, NULL))
		CAIRN_BUG("cannot create a lock");
	r = open_fds(i, err);
	if (r < 0)
		interrupt_free(i);
	else
		*ret = i;
	return r;
}

static void raise_event(int fd)
{
	uint64_t one = 1;

	(void)!write(fd, &one, sizeof(one)); /* a counter: cannot fail before 2^64 - 1 */
}

void interrupt_free(struct interrupt *i)
{
	int fds[5];

	if (!i)
		return;
	memcpy(fds, (int[]){ i->stop, i->signals, i->over, i->drain, i->quit }, sizeof(fds));
	if (i->watching) {
		atomic_store(&i->cancel, true);
		raise_event(i->quit);
		pthread_join(i->thread, NULL);
	}
	for (size_t k = 0; k < ARRAY_SIZE(fds); k++)
		if (fds[k] >= 0)
			close(fds[k]);
	pthread_mutex_destroy(&i->lock);
	free(i);
}

/* --- notices -------------------------------------------------------------------- */

/* Wait; true when the thread shall end. */
static bool pause_ended(struct interrupt *i, int64_t ns)
{
	struct pollfd p = { .fd = i->quit, .events = POLLIN };

	return poll(&p, 1, (int)(ns / 1000000)) > 0;
}

/* Until there is a notice, or nobody answers: then this is no place for notices. */
static enum interrupt_cause wait_notice(struct interrupt *i, struct aws *aws)
{
	enum aws_notice notice = AWS_NOTICE_NONE;
	struct cairn_err ignored;

	for (unsigned silent = 0; silent < SILENCE_MAX;) {
		silent = aws_notice(aws, &notice, &ignored) < 0 ? silent + 1 : 0;
		if (notice == AWS_NOTICE_STOP)
			return INTERRUPT_SPOT;
		if (notice == AWS_NOTICE_REBALANCE)
			return INTERRUPT_REBALANCE;
		if (pause_ended(i, INTERRUPT_POLL_NS))
			break;
	}
	return INTERRUPT_NONE;
}

static void *watch(void *ctx)
{
	struct interrupt *i = ctx;
	struct http_opts ho = HTTP_OPTS_INIT;
	cleanup_http_client struct http_client *http = NULL;
	cleanup_aws struct aws *aws = NULL;
	enum interrupt_cause cause;

	ho.cancel = &i->cancel;
	ho.connect_timeout_ns = ho.stall_timeout_ns = QUESTION_TIMEOUT_NS;
	ho.attempts = 1; /* the next question comes soon */
	http = http_client_new(&ho);
	aws = aws_new(&(struct aws_opts){ .http = http, .envp = i->envp, .metadata = http });
	cause = wait_notice(i, aws);
	if (cause == INTERRUPT_NONE)
		return NULL;
	happened(i, cause);
	raise_event(i->drain);
	if (!pause_ended(i, INTERRUPT_GRACE_NS))
		raise_event(i->over);
	return NULL;
}

/* Is there somebody to ask? Without a request: the firmware names the cloud. */
static bool has_notices(char *const *envp)
{
	cleanup_strbuf struct strbuf vendor;
	struct cairn_err ignored;
	const char *off = ctx_env(envp, "AWS_EC2_METADATA_DISABLED");

	strbuf_init(&vendor, 256);
	if (off && strcasecmp(off, "true") == 0)
		return false;
	if (ctx_env(envp, "AWS_EC2_METADATA_SERVICE_ENDPOINT"))
		return true;
	return fs_read_file(AT_FDCWD, VENDOR_FILE, &vendor, &ignored) == 0 &&
	       str_starts(strbuf_view(&vendor), S(VENDOR_EC2));
}

void interrupt_watch(struct interrupt *i)
{
	if (!i->watching && has_notices(i->envp))
		i->watching = pthread_create(&i->thread, NULL, watch, i) == 0;
}

/* --- what is asked ---------------------------------------------------------------- */

int interrupt_stop_fd(const struct interrupt *i)
{
	return i->stop;
}

int interrupt_drain_fd(const struct interrupt *i)
{
	return i->drain;
}

/* The signal stays pending in the descriptor no longer, so it is read once it is there. */
static void read_signal(struct interrupt *i)
{
	struct signalfd_siginfo si;

	if (read(i->signals, &si, sizeof(si)) != (ssize_t)sizeof(si))
		return;
	happened(i, si.ssi_signo == SIGTERM ? INTERRUPT_TERM : INTERRUPT_USER);
	raise_event(i->over); /* keeps `stop` readable */
}

enum interrupt_cause interrupt_cause(struct interrupt *i)
{
	enum interrupt_cause cause;

	read_signal(i);
	pthread_mutex_lock(&i->lock);
	cause = i->cause;
	pthread_mutex_unlock(&i->lock);
	return cause;
}

int64_t interrupt_deadline(struct interrupt *i)
{
	enum interrupt_cause cause = interrupt_cause(i);

	return cause == INTERRUPT_NONE ? 0 : i->since + causes[cause].flush_ns;
}

const char *interrupt_text(enum interrupt_cause cause)
{
	return causes[cause].text;
}
