FROM base
RUN echo a \
 # comment
 && echo b \

 && echo c >/c
RUN set -e; \
    echo "quoted 'x'" >/d; \
    echo tab	tab >>/d
RUN ["sh", "-c", "echo $HOME"]
RUN [ "x" = "x" ] && echo bracket >/e
RUN --network=none ls /sys/class/net >/net
