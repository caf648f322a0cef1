FROM base
HEALTHCHECK --interval=soon CMD true
