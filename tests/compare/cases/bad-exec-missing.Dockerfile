FROM base
RUN ["/nope"]
