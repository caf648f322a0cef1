FROM base
ENV A=${B
