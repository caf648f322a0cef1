# escape=`
FROM base
RUN echo a `
  b >/x
ENV P=C:\x Q=a`$b
