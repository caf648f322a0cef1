#: echo n >n; mkdir d; echo f >d/f
FROM base
RUN ln -s /nowhere /dang && ln -s /made/deep /dd
COPY n /dang
COPY n /dd/
