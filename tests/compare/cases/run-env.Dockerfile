#= /(dev.txt|mounts|oom|sys.txt) .*
#= /b1 .*
FROM base
RUN env | sort >/env; id >/id; umask >/umask; pwd >/pwd; hostname >/hostname; cat /proc/self/status | grep -E '^(Groups|Cap|NoNew|Seccomp:|Umask)' >/status; ulimit -a >/ulimit; cat /proc/1/cmdline | tr '\0' ' ' >/one; echo $$ >/pid; ls /dev | sort >/dev.txt; ls -la /proc/self/fd | wc -l >/fds; cat /etc/hosts >/hosts; stat -c '%a %U %n' /tmp /dev/shm /dev /sys /proc >/stat; [ -t 0 ] || echo notty >/tty; cat /proc/self/mountinfo | awk '{print $5,$6}' | sort >/mounts; ls /sys /sys/fs/cgroup | sort >/sys.txt; cat /proc/sys/kernel/hostname >/h2; cat /proc/self/oom_score_adj >/oom
USER app
RUN env | sort >/tmp/env; id >/tmp/id; umask >/tmp/umask; cat /proc/self/status | grep -E '^(Groups|Cap|NoNew|Seccomp:)' >/tmp/status
USER 1234
RUN env | sort >/tmp/env2; id >/tmp/id2
USER 1234:50
RUN id >/tmp/id3
USER app:staff
RUN id >/tmp/id4
USER 1000
RUN id >/tmp/id5; echo $HOME >/tmp/home
USER root
ENV HOME=/custom
RUN echo $HOME >/home2
RUN ["/bin/sh", "-c", "echo exec $HOME > /ex"]
RUN ["/bin/touch", "/$HOME-literal"]
