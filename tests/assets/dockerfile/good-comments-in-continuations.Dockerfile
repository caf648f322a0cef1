# one
FROM debian
# two
RUN a && \
# between
    b && \
    # indented \

    c
  # indented comment
  RUN d # not a comment \
  e
RUN trailing blanks \  	
 f
RUN g \\
RUN h \
