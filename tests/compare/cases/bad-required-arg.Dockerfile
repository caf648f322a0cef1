FROM base
RUN true
ENV A=${B:?must-be-set}
