#= layer 4 names: cairn \[\] \| docker \['/keep/1'\]
FROM base
RUN mkdir -p /a/b/c && touch /a/f /a/b/g /a/b/c/h && echo 1 >/one && mkdir /keep && touch /keep/1 /keep/2
RUN rm /one && rm -r /a/b
RUN rm -r /a && mkdir /a && echo new >/a/new
RUN rm -rf /keep && mkdir -m 700 /keep && touch /keep/1
RUN echo x >/tmp/gone && rm /tmp/gone
RUN mv /keep /moved
RUN rm /a/new && mkdir /a/new && touch /a/new/x
RUN rm -r /a/new && ln -s /etc /a/new
