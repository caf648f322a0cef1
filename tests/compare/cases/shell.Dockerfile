#= history \d created_by: cairn .HEALTHCHECK \[.*docker .HEALTHCHECK &\{.*
#= config ArgsEscaped: cairn None \| docker True
FROM base
SHELL ["/bin/sh", "-e", "-c"]
RUN echo $0 $- >/x
CMD echo hi
ENTRYPOINT echo e
HEALTHCHECK CMD true
SHELL ["/bin/busybox", "sh", "-c"]
RUN echo b >/y
CMD echo hi2
